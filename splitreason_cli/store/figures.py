"""Figures as files."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .jsonl import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".pdf", ".svg")
BLUE, ORANGE = "#0072B2", "#D55E00"


def require_format(path: Path) -> None:
    """Raise UsageError if no figure can be written under this name."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: no figure format {path.suffix!r}", f"Give a name that ends in {', '.join(FORMATS)}")


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a matplotlib figure; format by suffix. Raises MachineError if the file cannot be written."""
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix.lower().lstrip("."), dpi=160)
    write_atomically(path, iter([image.getvalue()]))
