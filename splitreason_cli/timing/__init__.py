"""The verbs simulate and bench latency: how long a generation takes."""
