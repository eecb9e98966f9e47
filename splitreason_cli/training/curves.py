"""The curves of a run of GRPO."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..records.data import GrpoStep
from ..store.figures import BLUE, ORANGE, require_format, save_figure
from .collapse import first_warnings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES: tuple[dict[str, str], ...] = (
    {"accuracy": "accuracy", "reward": "reward"},
    {"share": "offload share"},
    {"price": "price of offloading all, right answers"},
    {"spans": "spans a completion", "unclosed": "not closed by the policy"},
    {"span_tokens": "tokens a span"},
    {"closed": "share of spans that the policy closed"},
)
"""The fields of a step by panel, and what they are called."""


def write_curves(path: Path, steps: Sequence[GrpoStep], offload_budget: float | None) -> None:
    """Draw what a run of GRPO logged over its steps; format by suffix (png, pdf, svg).

    Thin lines are the steps, thick ones means over a tenth of all steps. Dotted lines stand where a warning first came.

    Raises UsageError for another suffix, MachineError if the file cannot be written.
    """
    require_format(path)
    save_figure(_curves(steps, offload_budget), path)


def _curves(steps: Sequence[GrpoStep], offload_budget: float | None) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    grid: list[Axes] = list(figure.subplots(2, 3, sharex=True).flat)
    for axes, curves in zip(grid, CURVES, strict=True):
        for (name, text), color in zip(curves.items(), (BLUE, ORANGE), strict=False):
            _curve(axes, steps, name, color, text)
        if "share" in curves and offload_budget is not None:
            axes.axhline(offload_budget, color="black", linestyle="--", linewidth=1, label="budget")
        for warning, step in first_warnings(steps).items():
            axes.axvline(step, color="red", linestyle=":", label=warning if axes is grid[0] else None)
        if "reward" not in curves:
            axes.set_ylim(bottom=0)
        axes.legend(fontsize="small", frameon=False)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[3:]:
        axes.set_xlabel("step")
        axes.locator_params(axis="x", integer=True)
    return figure


def _curve(axes: "Axes", steps: Sequence[GrpoStep], name: str, color: str, text: str) -> None:
    import numpy as np

    at = [step.step for step in steps]
    values = np.array([getattr(step, name) for step in steps], dtype=float)
    axes.plot(at, values, color=color, linewidth=0.8, alpha=0.4)
    width = max(1, len(steps) // 10)
    # At both ends the mean is over the steps that there are.
    counts = np.convolve(np.ones(len(steps)), np.ones(width), "same")
    means = np.convolve(values, np.ones(width), "same") / counts
    axes.plot(at, means, color=color, linewidth=1.8, label=text)
