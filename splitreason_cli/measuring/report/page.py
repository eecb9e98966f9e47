"""A benchmark as one self-contained HTML page: figures, what each problem came to, and every trace."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...records.data import BenchComparison, BenchResult, Generation, label
from ...viewing.packing import Packed, Packer
from ...viewing.page import Look, write_page
from ...viewing.records import generation_view
from .cells import Grid, disagreements
from .frontier import COLORS, PAPER, PAPER_BIG, inline_svg, is_paper_task, points_of

LOOK = Look(__package__, "report.html.jinja", styles=["report.css"], scripts=["grid.js"])
SIGNIFICANCE = 0.05

Runs = Sequence[tuple[BenchResult, Iterable[Generation]]]


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Args:
        notes: paragraphs under the table of results.
        runs: each system's result with all its generations, which are read once.
        examples: generations to show in full on the page itself, even without scripts.
        commands: the shell commands that lead to such a page.
        curves: a PNG of a training run's, if there was one.
    """

    title: str
    notes: Sequence[str]
    runs: Runs
    comparisons: Sequence[BenchComparison] = ()
    examples: Sequence[Generation] = ()
    commands: Sequence[str] = ()
    curves: bytes = b""


def write_report(path: Path, report: Report) -> None:
    """Write the page. It loads nothing, and runs no script but its own, whatever the models wrote.

    Raises MachineError if the file cannot be written.
    """
    results = [result for result, _ in report.runs]
    labels = [label(result.system, result.offload_budget) for result in results]
    traces, grid = _packed(labels, [generations for _, generations in report.runs])
    rows = grid.rows()
    values = {
        "notes": report.notes,
        "results": results,
        "comparisons": [_labelled(comparison) for comparison in report.comparisons],
        "rows": rows,
        "differs": list(disagreements(rows)),
        "examples": report.examples,
        "commands": report.commands,
        "labels": labels,
        "curves": base64.b64encode(report.curves).decode(),
        **_frontier(results),
    }
    write_page(path, LOOK, report.title, traces, values)


def _packed(labels: Sequence[str], runs: Sequence[Iterable[Generation]]) -> tuple[Packed, Grid]:
    """All generations, named by the label of their run whatever they call their system, and what they came to."""
    packer, grid = Packer([(name, "by") for name in labels]), Grid(len(labels))
    for run, generations in enumerate(runs):
        for generation in generations:
            grid.add(generation.id, run, generation.correct)
            packer.add(generation_view(generation, labels[run]))
    return packer.finish(by_name=True), grid


def _labelled(comparison: BenchComparison) -> tuple[BenchComparison, str, str, str]:
    """A comparison, what it calls its two systems, and what it shows."""
    mine = label(comparison.system, comparison.offload_budget)
    return comparison, mine, label(comparison.baseline, comparison.baseline_budget), reading(comparison)


def _frontier(results: Sequence[BenchResult]) -> dict[str, object]:
    """The drawing of accuracy over share, the systems that the style has colours for, and the paper's own points."""
    return {
        "plot": inline_svg(results) if points_of(results) else "",
        "systems": list(COLORS),
        "paper": [*PAPER, PAPER_BIG] if is_paper_task(results) else [],
    }


def reading(comparison: BenchComparison) -> str:
    """A comparison in plain words: what it shows, or that it shows nothing."""
    low, high = comparison.ci95
    if low <= 0 <= high:
        return "Undecided: the interval includes 0, so these problems do not tell the two apart."
    if comparison.p_value >= SIGNIFICANCE:
        return "Undecided: the interval leaves 0 out, but the test would see as much by chance."
    return "Better: more right answers." if low > 0 else "Worse: fewer right answers."
