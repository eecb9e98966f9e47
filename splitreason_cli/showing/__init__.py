"""The verbs stats and show: what records look like in numbers and figures."""
