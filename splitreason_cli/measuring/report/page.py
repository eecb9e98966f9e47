"""A benchmark as one self-contained HTML page: figures, what each problem came to, and every trace."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ...records.data import BenchComparison, BenchResult, Generation, label
from ...store.jsonl import write_atomically
from .frontier import COLORS, PAPER, PAPER_BIG, inline_svg, is_paper_task, points_of
from .traces import disagreements, pack

if TYPE_CHECKING:
    from jinja2 import Template

SCRIPTS = ("report_data.js", "report_grid.js", "report_viewer.js", "report_search.js")
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
    traces = pack(labels, (generations for _, generations in report.runs))
    page = _template().generate(
        title=report.title,
        notes=report.notes,
        results=results,
        comparisons=[_labelled(comparison) for comparison in report.comparisons],
        traces=traces,
        differs=list(disagreements(traces.rows)),
        examples=report.examples,
        commands=report.commands,
        label=label,
        labels=labels,
        curves=base64.b64encode(report.curves).decode(),
        **_frontier(results),
        **_style_and_script(),
    )
    write_atomically(path, (piece.encode("utf-8", "replace") for piece in page))


def _template() -> "Template":
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("report.html.jinja"))


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


def _style_and_script() -> dict[str, str]:
    """What the page embeds, and the digest by which a browser knows that a script is the page's own."""
    script = "".join(_part(name) for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"style": _part("report.css"), "script": script, "script_hash": digest}


def reading(comparison: BenchComparison) -> str:
    """A comparison in plain words: what it shows, or that it shows nothing."""
    low, high = comparison.ci95
    if low <= 0 <= high:
        return "Undecided: the interval includes 0, so these problems do not tell the two apart."
    if comparison.p_value >= SIGNIFICANCE:
        return "Undecided: the interval leaves 0 out, but the test would see as much by chance."
    return "Better: more right answers." if low > 0 else "Worse: fewer right answers."


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
