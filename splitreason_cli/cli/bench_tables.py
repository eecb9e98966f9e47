"""The results of a benchmark as tables for a terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from ..records.data import BenchComparison, BenchResult, label

UNMEASURED = "–"


def results_table(results: Sequence[BenchResult], partly: str = "") -> Table:
    """Accuracy and share of each system; `partly` says how much of the last one is done, if not all."""
    title = f"{results[0].task}, {results[0].problems} problems" if results else None
    samples = max((result.samples for result in results), default=1)
    table = _table(title)
    columns = ["pass@1", "95 % interval", *([f"maj@{samples}"] if samples > 1 else []), "offload"]
    for column in (*columns, "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for result in results:
        name = label(result.system, result.offload_budget)
        if partly and result is results[-1]:
            name += f" (partial, {partly})"
        majority = [] if samples == 1 else [_shown(result.maj_at_k, ".3f")]
        costs = _shown(result.offload_share, ".2%"), _shown(result.seconds, ".1f")
        table.add_row(name, *_accuracy(result), *majority, *costs)
    return table


def endings_table(results: Sequence[BenchResult]) -> Table:
    """Tokens by model, how completions ended, and how long the big model took to begin after a hand-over."""
    table = _table("tokens by model, endings")
    measured = any(result.hand_over_seconds is not None for result in results)
    columns = ["small", "big", "spans", "truncated", "unclosed", "ungraded", *(["wait, s"] if measured else [])]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for result in results:
        waited = [_shown(result.hand_over_seconds, ".3f")] if measured else []
        counts = (result.small_tokens, result.big_tokens, result.spans, result.truncated, result.unclosed)
        cells = [*(_shown(number, ",") for number in counts), f"{result.ungraded:,}", *waited]
        table.add_row(label(result.system, result.offload_budget), *cells)
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
        table.add_row(pair, f"{one.difference:+.3f}", interval, value, f"{one.problems:,}")
    return table


def _accuracy(result: BenchResult) -> tuple[str, str]:
    """pass@1 and its interval."""
    interval = UNMEASURED if result.ci95 is None else "{:.3f} to {:.3f}".format(*result.ci95)
    return _shown(result.pass_at_1, ".3f"), interval


def _table(title: str | None, first: str = "system") -> Table:
    table = Table(title=title, box=box.SIMPLE, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def _shown(value: float | None, form: str) -> str:
    return UNMEASURED if value is None else format(value, form)
