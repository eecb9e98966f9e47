"""The systems of a benchmark: who writes, and what the baselines copy of split."""
