"""The verb build-sft: training records from annotated traces."""
