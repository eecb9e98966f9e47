"""Accuracy against offload share: a figure as a file, or as a part of a page that follows its colours."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ...records.data import BenchResult
from ...store.figures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {
    "split": "#0072B2",
    "random": "#D55E00",
    "small": "#555555",
    "big": "#009E73",
    "oracle": "#CC79A7",
    "split + GRPO": "#56B4E9",
    "relay": "#E69F00",
    "entropy": "#6F5FA8",
}
"""Okabe and Ito's palette, which survives the common kinds of colour blindness, and a violet; markers differ too."""

MARKERS = {
    "split": "o",
    "random": "s",
    "small": "D",
    "big": "^",
    "oracle": "*",
    "split + GRPO": "P",
    "relay": "v",
    "entropy": "X",
}

INK, FAINT = "#010203", "#7f7f7f"
"""Colours that stand for the page's own in its drawing."""


@dataclass(frozen=True)
class Reference:
    """A point that somebody else printed: offload share and pass@1 in per cent, and what it is of."""

    share: float
    accuracy: float
    what: str
    marker: str


PAPER_TASK = "aime24"
PAPER = (
    Reference(0.0, 17.3, "1.5B alone", "D"),
    Reference(1.35, 41.3, "1.5B with 32B, 1.35 % offloaded (+24 points)", "o"),
    Reference(5.0, 45.6, "1.5B with 32B, 5 % offloaded", "o"),
    Reference(7.5, 37.3, "random hand-over of 5 to 10 % (up to +20 points)", "s"),
)
PAPER_BIG = Reference(100.0, 64.0, "32B alone", "^")
"""What Akhauri et al., arXiv:2504.16379 (2025), print for AIME24: other models than most runs', and no intervals."""


def is_paper_task(results: Sequence[BenchResult]) -> bool:
    """Whether the paper has figures for the task of these results."""
    return bool(results) and Path(results[0].task).stem.lower() == PAPER_TASK


@dataclass(frozen=True)
class Point:
    """A result in the plane: offload share in per cent, pass@1 and its 95 % interval, and the cap it is named by."""

    system: str
    share: float
    accuracy: float
    ci95: tuple[float, float]
    budget: float | None


def points_of(results: Sequence[BenchResult]) -> list[Point]:
    """The results whose share and accuracy are known, the smallest share first."""
    points = [
        Point(r.system, 100 * r.offload_share, r.pass_at_1, r.ci95, r.offload_budget)
        for r in results
        if r.offload_share is not None and r.pass_at_1 is not None and r.ci95 is not None
    ]
    return sorted(points, key=lambda point: point.share)


def write_pareto(path: Path, results: Sequence[BenchResult]) -> None:
    """Plot pass@1 with its 95 % interval over the offload share; format by suffix (png, svg, pdf).

    Results whose share or accuracy is not known are left out.
    The big model alone is a horizontal line: its share, 100 %, would squeeze all else to the left. For AIME24 the
    paper's figures stand behind, in grey.
    """
    save_figure(draw(results, "black"), path)


def inline_svg(results: Sequence[BenchResult]) -> str:
    """The same as an element of a page: text stays text, and each colour is a property that the page sets."""
    import matplotlib

    drawing = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "srx", "font.family": "sans-serif"}):
        draw(results, INK).savefig(drawing, format="svg", transparent=True, metadata={"Date": None})
    svg = drawing.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    for number, color in enumerate(COLORS.values()):
        svg = svg.replace(color.lower(), f"var(--system-{number})")
    return svg


def draw(results: Sequence[BenchResult], ink: str) -> "Figure":
    """The matplotlib figure; text and axes are `ink`."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {"text.color": ink, "axes.labelcolor": ink, "axes.edgecolor": ink, "xtick.color": ink, "ytick.color": ink}
    ):
        figure = Figure(figsize=(7.5, 5), layout="constrained")
        axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    if is_paper_task(results):
        _draw_paper(axes)
    points = points_of(results)
    # In the order of the results, which the legend has too.
    for system in dict.fromkeys(result.system for result in results):
        if mine := [point for point in points if point.system == system]:
            _draw_system(axes, system, mine, ink)
    axes.set(xlabel="tokens written by the big model, %", ylabel="pass@1", ylim=(0, 1.02), xlim=(-0.2, None))
    axes.grid(alpha=0.25, color=FAINT)
    figure.legend(loc="outside lower center", ncols=5, frameon=False, labelcolor=ink)
    return figure


def _draw_system(axes: "Axes", system: str, points: Sequence[Point], ink: str) -> None:
    color = COLORS.get(system, ink)
    if system == "big":
        axes.axhline(points[0].accuracy, linestyle="--", color=color, label=system)
        axes.axhspan(*points[0].ci95, color=color, alpha=0.12, linewidth=0)
        return
    axes.errorbar(
        [p.share for p in points],
        [p.accuracy for p in points],
        yerr=[
            [max(0.0, p.accuracy - p.ci95[0]) for p in points],
            [max(0.0, p.ci95[1] - p.accuracy) for p in points],
        ],
        marker=MARKERS.get(system, "x"),
        markersize=7,
        capsize=3,
        linewidth=1.5,
        color=color,
        label=system,
    )
    for before, point in pairwise([None, *points]):
        if point and point.budget is not None:
            # Caps beyond what split asks for come to nearly the same share: their names would overlap.
            is_near = before and point.share - before.share < 0.05 * points[-1].share
            axes.annotate(
                f"≤{100 * point.budget:g}%",
                (point.share, point.accuracy),
                xytext=(6, 7 if is_near else -13),
                textcoords="offset points",
                color=color,
                size="small",
            )


def _draw_paper(axes: "Axes") -> None:
    axes.axhline(PAPER_BIG.accuracy / 100, linestyle=":", color=FAINT, zorder=1)
    axes.annotate(
        f"paper: {PAPER_BIG.what}",
        (1, PAPER_BIG.accuracy / 100),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        color=FAINT,
        size="small",
    )
    for number, point in enumerate(PAPER):
        axes.plot(
            point.share,
            point.accuracy / 100,
            point.marker,
            markerfacecolor="none",
            markersize=9,
            linestyle="none",
            label="" if number else "paper's figures, see text",
            clip_on=False,
            color=FAINT,
            zorder=1,
        )
    upper = PAPER[-1]
    axes.hlines(upper.accuracy / 100, 5, 10, linestyle=":", color=FAINT, zorder=1)
