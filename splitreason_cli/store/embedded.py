"""Where the data that ships with srx lies: beside the package in a checkout, inside it once installed."""

from pathlib import Path

_INSTALLED = Path(__file__).parent.parent / "sample_data"

SAMPLE_DATA = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parent.parent.parent / "sample_data"

EMBEDDED_MODELS = {name: SAMPLE_DATA / name for name in ("mini-small", "mini-split", "mini-big")}

MINI_TRACES = SAMPLE_DATA / "mini_traces.jsonl"
MINI_PROBLEMS = SAMPLE_DATA / "mini_problems.jsonl"
