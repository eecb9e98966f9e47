"""Where the data that ships with srx lies: beside the package in a checkout, inside it once installed."""

from importlib import resources
from pathlib import Path

_PACKAGE = Path(str(resources.files("splitreason_cli")))
_INSTALLED = _PACKAGE / "sample_data"

SAMPLE_DATA = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "sample_data"

EMBEDDED_MODELS = {name: SAMPLE_DATA / name for name in ("mini-small", "mini-split", "mini-big")}

MINI_TRACES = SAMPLE_DATA / "mini_traces.jsonl"
MINI_PROBLEMS = SAMPLE_DATA / "mini_problems.jsonl"
