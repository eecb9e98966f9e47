"""The verb bench: accuracy and offload share of several systems, with intervals."""
