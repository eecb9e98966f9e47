"""Figures of the statistics of record kinds."""

import itertools
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..store.figures import BLUE, require_format, save_figure
from .distributions import KindStatistics
from .histograms import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
LABEL_CHARACTERS = 28
LEAST_ROWS = 4


def write_charts(path: Path, kinds: Sequence[KindStatistics]) -> None:
    """Draw every chart and tally of every kind as a panel of one figure; format by suffix (png, pdf, svg).

    Raises UsageError for another suffix, MachineError if the file cannot be written.
    """
    require_format(path)
    save_figure(_figure(kinds), path)


def _figure(kinds: Sequence[KindStatistics]) -> "Figure":
    from matplotlib.figure import Figure

    panels = [(kind.kind, chart) for kind in kinds for chart in kind.panels()]
    columns = max(1, min(COLUMNS, len(panels)))
    rows = max(1, math.ceil(len(panels) / columns))
    figure = Figure(figsize=(4.5 * columns, 3 * rows), layout="constrained")
    grid: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (kind, chart) in zip(grid, panels, strict=False):
        _draw(axes, chart)
        title = f"{kind}: {chart.name}" + (f", {chart.group}" if chart.group else "")
        # Names of systems and reasons are data: a dollar sign in them starts no formula.
        axes.set_title(title, fontsize="medium", parse_math=False)
    for axes in list(figure.axes)[len(panels) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: "Axes", chart: Chart) -> None:
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
        axes.locator_params(axis="y" if chart.edges else "x", integer=True)
    axes.spines[["top", "right"]].set_visible(False)
