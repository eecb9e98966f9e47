"""srx bench latency"""

from rich import box
from rich.table import Table

from ..core.records import LatencyResult
from . import console
from .options import deliver_results


def run(small: str, big: str, rounds: int, tokens: int, vllm_args: str, out: str | None) -> None:
    """Measure and deliver a record a mode, and a table for people."""
    import shlex

    from ..adapters.pair import Side
    from ..core.workload import Workload
    from ..stages.bench_latency import LatencyConfig, bench_latency

    arguments = tuple(shlex.split(vllm_args))
    config = LatencyConfig(
        Side(small, vllm_args=arguments), Side(big, vllm_args=arguments), Workload(tokens), rounds=rounds
    )
    with console.progress() as live:
        task = live.add_task("bench latency", total=None, note="")
        results = bench_latency(
            config,
            on_status=lambda status: live.update(task, note=status),
            on_progress=lambda done, total: live.update(task, completed=done, total=total, note=""),
        )
    deliver_results(results, latency_table(results), out)


def latency_table(results: list[LatencyResult]) -> Table:
    """The modes as a table for a terminal; times relative to the small model alone."""
    table = Table(box=box.SIMPLE, padding=(0, 1))
    table.add_column("mode", no_wrap=True)
    for column in ("tokens", "big", "seconds", "range", "x small", "hand-over ms", "control/big", "overrun/span"):
        table.add_column(column, justify="right", no_wrap=True)
    alone = next((result.seconds for result in results if result.mode == "small"), None)
    for result in results:
        is_whole = alone and result.tokens > 1
        table.add_row(
            result.mode, f"{result.tokens:,}", f"{result.big_tokens:,}", f"{result.seconds:.3f}",
            "{:.3f} to {:.3f}".format(*result.seconds_range),
            f"{result.seconds / alone:.2f}" if alone and is_whole else "",
            "" if result.hand_over_seconds is None else f"{1000 * result.hand_over_seconds:.0f}",
            f"{result.control_tokens / result.big_tokens:.2f}" if result.spans else "",
            f"{result.overrun_tokens:.1f}" if result.spans else "",
        )  # fmt: skip
    return table
