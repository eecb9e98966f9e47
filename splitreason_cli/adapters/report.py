"""A benchmark as files: the Pareto plot, and one self-contained HTML page."""

import base64
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ..core.records import BenchResult, Generation, label
from .jsonl import write_atomically

COLORS = {
    "split": "#0072B2",
    "random": "#D55E00",
    "small": "#555555",
    "big": "#009E73",
    "oracle": "#CC79A7",
    "split + GRPO": "#56B4E9",
}
"""Okabe and Ito's palette, which survives the common kinds of colour blindness; markers tell systems apart too."""

MARKERS = {"split": "o", "random": "s", "small": "D", "big": "^", "oracle": "*", "split + GRPO": "P"}


def write_pareto(path: Path, results: Sequence[BenchResult]) -> None:
    """Plot pass@1 with its 95 % interval over the offload share; format by suffix (png, svg, pdf).

    The big model alone is a horizontal line: its share, 100 %, would squeeze all else to the left.
    """
    figure = _pareto(results)
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix.lstrip("."), dpi=160)
    write_atomically(path, iter([image.getvalue()]))


def write_html(
    path: Path,
    title: str,
    note: str,
    results: Sequence[BenchResult],
    traces: Sequence[Generation],
    commands: Sequence[str],
    curves: bytes = b"",
) -> None:
    """Write the page: table, a note, plot, traces with the big model's words marked, and the commands that made it.

    `curves` is a PNG of a training run's, if there was one.
    """
    import jinja2

    drawing = io.StringIO()
    _pareto(results).savefig(drawing, format="svg")
    svg = drawing.getvalue()
    template = resources.files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(template).render(
        title=title,
        note=note,
        results=results,
        label=label,
        traces=traces,
        commands=commands,
        plot=svg[svg.index("<svg") :],
        curves=base64.b64encode(curves).decode(),
    )
    write_atomically(path, iter([page.encode()]))


def _pareto(results: Sequence[BenchResult]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for system in dict.fromkeys(result.system for result in results):
        points = sorted((r for r in results if r.system == system), key=lambda r: r.offload_share)
        style: dict[str, Any] = {"color": COLORS.get(system, "black"), "label": system}
        if system == "big":
            low, high = points[0].ci95
            axes.axhline(points[0].pass_at_1, linestyle="--", **style)
            axes.axhspan(low, high, color=style["color"], alpha=0.12, linewidth=0)
            continue
        axes.errorbar(
            [100 * p.offload_share for p in points],
            [p.pass_at_1 for p in points],
            yerr=[
                [max(0.0, p.pass_at_1 - p.ci95[0]) for p in points],
                [max(0.0, p.ci95[1] - p.pass_at_1) for p in points],
            ],
            marker=MARKERS.get(system, "x"), capsize=3, linewidth=1.5, **style,
        )  # fmt: skip
    axes.set(xlabel="tokens written by the big model, %", ylabel="pass@1", ylim=(0, 1.02), xlim=(-0.2, None))
    axes.set_title("Accuracy against offload share, 95 % intervals")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure
