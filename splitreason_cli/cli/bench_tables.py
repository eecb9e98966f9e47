"""The results of a benchmark as tables for a terminal."""

from collections.abc import Collection, Sequence

from rich import box
from rich.table import Table

from ..core.records import BenchComparison, BenchResult, label
from ..core.sample_logs import UNKNOWN

UNMEASURED = "–"


def results_table(results: Sequence[BenchResult], partial: Collection[BenchResult] = ()) -> Table:
    """Accuracy and share of each system; `partial` are those that are not finished."""
    title = f"{results[0].task}, {results[0].problems} problems" if results else None
    samples = max((result.samples for result in results), default=1)
    table = _table(title)
    columns = ["pass@1", "95 % interval", *([f"maj@{samples}"] if samples > 1 else []), "offload"]
    for column in (*columns, "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for result in results:
        name = label(result.system, result.offload_budget) + (" (partial)" if result in partial else "")
        majority = [] if samples == 1 else [UNMEASURED if result.maj_at_k is None else f"{result.maj_at_k:.3f}"]
        table.add_row(
            name, *_accuracy(result), *majority,
            _known(result, f"{result.offload_share:.2%}", "tokens", "big_tokens"),
            _known(result, f"{result.seconds:.1f}", "seconds"),
        )  # fmt: skip
    return table


def endings_table(results: Sequence[BenchResult]) -> Table:
    """Tokens by model, how completions ended, and how long the big model took to begin after a hand-over."""
    table = _table("tokens by model, endings")
    measured = any(result.hand_over_seconds is not None for result in results)
    columns = ["small", "big", "spans", "truncated", "unclosed", "ungraded", *(["wait, s"] if measured else [])]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for result in results:
        seconds = result.hand_over_seconds
        waited = [] if not measured else [UNMEASURED if seconds is None else f"{seconds:.3f}"]
        table.add_row(
            label(result.system, result.offload_budget),
            _known(result, f"{result.tokens - result.big_tokens:,}", "tokens", "big_tokens"),
            _known(result, f"{result.big_tokens:,}", "big_tokens"),
            _known(result, f"{result.spans:,}", "authors"), _known(result, f"{result.truncated:,}", "finish_reason"),
            f"{result.unclosed:,}", f"{result.ungraded:,}", *waited,
        )  # fmt: skip
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
    """pass@1 and its interval, which is all of 0 to 1 only where nothing has a verdict."""
    if result.ci95 == (0.0, 1.0):
        return UNMEASURED, UNMEASURED
    return f"{result.pass_at_1:.3f}", "{:.3f} to {:.3f}".format(*result.ci95)


def _table(title: str | None, first: str = "system") -> Table:
    table = Table(title=title, box=box.SIMPLE, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def _known(result: BenchResult, text: str, *fields: str) -> str:
    """The text, or a dash if the log that the result is from does not say one of the fields."""
    return UNMEASURED if set(fields) & set(result.extra.get(UNKNOWN, ())) else text
