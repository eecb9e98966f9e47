"""Figures: the statistics of record kinds, the curves of a run of GRPO."""

import io
import itertools
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..records.data import GrpoStep
from ..store.jsonl import write_atomically
from ..training.collapse import first_warnings
from .distributions import KindStatistics
from .histograms import Chart

FORMATS = (".png", ".pdf", ".svg")
COLUMNS = 3
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
CURVES: tuple[dict[str, str], ...] = (
    {"accuracy": "accuracy", "reward": "reward"},
    {"share": "offload share"},
    {"price": "price of offloading all, right answers"},
    {"spans": "spans a completion", "unclosed": "not closed by the policy"},
    {"span_tokens": "tokens a span"},
    {"closed": "share of spans that the policy closed"},
)
"""The fields of a step by panel, and what they are called."""

LABEL_CHARACTERS = 28
LEAST_ROWS = 4


def require_format(path: Path) -> None:
    """Raise UsageError if no figure can be written under this name."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: no figure format {path.suffix!r}", f"Give a name that ends in {', '.join(FORMATS)}")


def write_charts(path: Path, kinds: Sequence[KindStatistics]) -> None:
    """Draw every chart and tally of every kind as a panel of one figure; format by suffix (png, pdf, svg).

    Raises UsageError for another suffix, MachineError if the file cannot be written.
    """
    require_format(path)
    _save(_figure(kinds), path)


def write_curves(path: Path, steps: Sequence[GrpoStep], offload_budget: float | None) -> None:
    """Draw what a run of GRPO logged over its steps; format by suffix (png, pdf, svg).

    Thin lines are the steps, thick ones means over a tenth of all steps. Dotted lines stand where a warning first came.

    Raises UsageError for another suffix, MachineError if the file cannot be written.
    """
    require_format(path)
    _save(_curves(steps, offload_budget), path)


def _save(figure: Any, path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix.lower().lstrip("."), dpi=160)
    write_atomically(path, iter([image.getvalue()]))


def _curves(steps: Sequence[GrpoStep], offload_budget: float | None) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    grid = list(figure.subplots(2, 3, sharex=True).flat)
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
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _curve(axes: Any, steps: Sequence[GrpoStep], name: str, color: str, text: str) -> None:
    import numpy as np

    at = [step.step for step in steps]
    values = np.array([getattr(step, name) for step in steps], dtype=float)
    axes.plot(at, values, color=color, linewidth=0.8, alpha=0.4)
    width = max(1, len(steps) // 10)
    # At both ends the mean is over the steps that there are.
    counts = np.convolve(np.ones(len(steps)), np.ones(width), "same")
    means = np.convolve(values, np.ones(width), "same") / counts
    axes.plot(at, means, color=color, linewidth=1.8, label=text)


def _figure(kinds: Sequence[KindStatistics]) -> Any:
    from matplotlib.figure import Figure

    panels = [(kind.kind, chart) for kind in kinds for chart in kind.panels()]
    columns = max(1, min(COLUMNS, len(panels)))
    rows = max(1, math.ceil(len(panels) / columns))
    figure = Figure(figsize=(4.5 * columns, 3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, (kind, chart) in zip(grid, panels, strict=False):
        _draw(axes, chart)
        title = f"{kind}: {chart.name}" + (f", {chart.group}" if chart.group else "")
        # Names of systems and reasons are data: a dollar sign in them starts no formula.
        axes.set_title(title, fontsize="medium", parse_math=False)
    for axes in list(figure.axes)[len(panels) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Any, chart: Chart) -> None:
    heights = [math.nan if height is None else height for height in chart.heights]
    if chart.edges:
        # A bin of whole numbers is centred on them: the bar of 3 stands over 3.
        starts = [edge - 0.5 * chart.whole for edge in chart.edges[:-1]]
        widths = [high - low for low, high in itertools.pairwise(chart.edges)]
        axes.bar(starts, heights, widths, align="edge", color=BLUE, edgecolor="white", linewidth=0.5)
        axes.set(xlabel=chart.x, ylabel=chart.y)
        axes.locator_params(axis="x", nbins=7, integer=chart.whole)
    else:
        axes.barh(range(len(heights)), heights, color=BLUE)
        labels = [textwrap.shorten(label, LABEL_CHARACTERS, placeholder="…") for label in chart.labels]
        axes.set_yticks(range(len(heights)), labels, fontsize="small", parse_math=False)
        axes.set_ylim(max(LEAST_ROWS, len(heights)) - 0.5, -0.5)
        axes.set_xlabel(chart.y)
    if chart.y == "count":
        counts = axes.yaxis if chart.edges else axes.xaxis
        counts.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
