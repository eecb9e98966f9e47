"""Reasoning split between a small and a big language model."""

__version__ = "0.1.0"
