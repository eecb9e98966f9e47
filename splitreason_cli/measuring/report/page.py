"""A benchmark as one self-contained HTML page: figures, what each problem came to, and every trace."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

from ...records.data import BenchComparison, BenchResult, Generation, label
from ...store.jsonl import write_atomically
from .frontier import COLORS, PAPER, PAPER_BIG, inline_svg, is_paper_task, points_of
from .traces import disagreements, pack

SCRIPTS = ("report_data.js", "report_grid.js", "report_viewer.js", "report_search.js")
SIGNIFICANCE = 0.05

Runs = Sequence[tuple[BenchResult, Iterable[Generation]]]


def write_report(
    path: Path,
    title: str,
    notes: Sequence[str],
    runs: Runs,
    comparisons: Sequence[BenchComparison] = (),
    examples: Sequence[Generation] = (),
    commands: Sequence[str] = (),
    curves: bytes = b"",
) -> None:
    """Write the page. It loads nothing, and runs no script but its own, whatever the models wrote.

    Args:
        notes: paragraphs under the table of results.
        runs: each system's result with all its generations, which are read once.
        examples: generations to show in full on the page itself, even without scripts.
        commands: the shell commands that lead to such a page.
        curves: a PNG of a training run's, if there was one.

    Raises MachineError if the file cannot be written.
    """
    import jinja2

    results = [result for result, _ in runs]
    labels = [label(result.system, result.offload_budget) for result in results]
    traces = pack(labels, (generations for _, generations in runs))
    script = "".join(_part(name) for name in SCRIPTS)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(_part("report.html.jinja")).generate(
        title=title,
        notes=notes,
        results=results,
        comparisons=[(c, label(c.system, c.offload_budget), label(c.baseline, c.baseline_budget), reading(c))
                     for c in comparisons],
        traces=traces,
        differs=list(disagreements(traces.rows)),
        examples=examples,
        commands=commands,
        label=label,
        labels=labels,
        plot=inline_svg(results) if points_of(results) else "",
        paper=[*PAPER, PAPER_BIG] if is_paper_task(results) else [],
        systems=list(COLORS),
        curves=base64.b64encode(curves).decode(),
        style=_part("report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )  # fmt: skip
    write_atomically(path, (piece.encode("utf-8", "replace") for piece in page))


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
