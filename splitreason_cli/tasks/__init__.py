"""Benchmark tasks: where their problems come from, and how answers are graded."""
