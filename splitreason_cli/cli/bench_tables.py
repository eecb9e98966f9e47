"""The results of a benchmark as tables for a terminal."""

from collections.abc import Callable, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from ..records.data import BenchComparison, BenchResult, label

UNMEASURED = "–"
LONGEST_NAME = 48

ENDINGS: Sequence[tuple[str, Callable[[BenchResult], float | None], str]] = (
    ("small", lambda result: result.small_tokens, ","),
    ("big", lambda result: result.big_tokens, ","),
    ("spans", lambda result: result.spans, ","),
    ("no answer", lambda result: result.unanswered, ","),
    ("truncated", lambda result: result.truncated, ","),
    ("unclosed", lambda result: result.unclosed, ","),
    ("ungraded", lambda result: result.ungraded, ","),
    ("wait, s", lambda result: result.hand_over_seconds, ".3f"),
)
"""Columns, what stands in them, and how it is written."""


def results_table(results: Sequence[BenchResult], partly: str = "") -> Table:
    """Accuracy and share of each system; `partly` says how much of the last one is done, if not all."""
    counts = {result.problems for result in results}
    problems = f", {max(counts)} problems" if len(counts) == 1 else ""
    title = f"{results[0].task}{problems}{_extracted(results[0])}" if results else None
    samples = max((result.samples for result in results), default=1)
    table = _table(title)
    # Systems of one log need not have had the same problems.
    columns = ["problems"] if len(counts) > 1 else []
    columns += ["pass@1", "95 % interval", *([f"maj@{samples}"] if samples > 1 else []), "offload"]
    for column in (*columns, "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for result in results:
        name = label(result.system, result.offload_budget)
        if partly and result is results[-1]:
            name += f" (partial, {partly})"
        majority = [] if samples == 1 else [_shown(result.maj_at_k, ".3f")]
        costs = _shown(result.offload_share, ".2%"), _shown(result.seconds, ".1f")
        of = [f"{result.problems:,}"] if len(counts) > 1 else []
        table.add_row(escape(name), *of, *_accuracy(result), *majority, *costs)
    return table


def endings_table(results: Sequence[BenchResult]) -> Table:
    """Tokens by model, how completions ended, and how long the big model took to begin after a hand-over.

    What is known of no system is left out.
    """
    table = _table("tokens by model, endings")
    columns = {name: [_shown(value(result), form) for result in results] for name, value, form in ENDINGS}
    known = {name: cells for name, cells in columns.items() if any(cell != UNMEASURED for cell in cells)}
    for column in known:
        table.add_column(column, justify="right", no_wrap=True)
    for number, result in enumerate(results):
        name = label(result.system, result.offload_budget)
        table.add_row(escape(name), *(cells[number] for cells in known.values()))
    return table


def comparisons_table(comparisons: Sequence[BenchComparison]) -> Table:
    """The difference of each two systems in pass@1."""
    table = _table(None, "difference in pass@1")
    for column in ("diff.", "95 % interval", "p", "problems"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in comparisons:
        pair = f"{label(one.system, one.offload_budget)} less {label(one.baseline, one.baseline_budget)}"
        interval = "{:+.3f} to {:+.3f}".format(*one.ci95)
        value = "< .001" if one.p_value < 0.001 else f"{one.p_value:.3f}"
        table.add_row(escape(pair), f"{one.difference:+.3f}", interval, value, f"{one.problems:,}")
    return table


def _extracted(result: BenchResult) -> str:
    return "" if result.extract == "box" else f", answers by --extract {result.extract}"


def _accuracy(result: BenchResult) -> tuple[str, str]:
    """pass@1 and its interval."""
    interval = UNMEASURED if result.ci95 is None else "{:.3f} to {:.3f}".format(*result.ci95)
    return _shown(result.pass_at_1, ".3f"), interval


def _table(title: str | None, first: str = "system") -> Table:
    # A name may be the path of a model, and a path may hold what reads as markup.
    table = Table(title=title and escape(title), box=box.SIMPLE, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column(first, overflow="fold", max_width=LONGEST_NAME)
    return table


def _shown(value: float | None, form: str) -> str:
    return UNMEASURED if value is None else format(value, form)
