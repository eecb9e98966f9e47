"""srx bench latency"""

from typing import Annotated

import typer
from rich import box
from rich.table import Table

from ..records.data import LatencyResult
from . import console, values
from .options import deliver_results

MEASURES = ("seconds", "range", "x small", "predicted", "overhead", "first token, ms", "control/big", "overrun/span")


def latency(
    small: Annotated[str, typer.Option(help="Small model: URLs of vLLM servers, or what one is started for.")] = (
        "mini-split"
    ),
    big: Annotated[str, typer.Option(help="Big model, likewise.")] = "mini-big",
    rounds: Annotated[int, typer.Option(min=1, help="Runs of every mode.")] = 5,
    tokens: Annotated[int, typer.Option(min=100, help="Tokens of every run.")] = 2048,
    vllm_args: Annotated[str, typer.Option(help="Arguments of both vLLM servers started, in quotes.")] = "",
    out: Annotated[str | None, typer.Option("--out", help="JSONL of latency records; - is standard output.")] = None,
) -> None:
    """Measure how long the pipelined pair takes on two vLLM servers.

    Beside it the same scripted completion by each model alone and in turns. --small and --big name servers by URL, or
    models for which they are started.
    """
    console.quiet_libraries()
    from ..models.sides import Side
    from ..timing.measure import LatencyConfig, bench_latency
    from ..timing.workload import Workload

    arguments = values.arguments("--vllm-args", vllm_args)
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
    """The modes as a table for a terminal."""
    whole = next((result for result in results if result.spans), results[0])
    title = f"{whole.tokens:,} tokens, {whole.big_tokens:,} of the big model in {whole.spans} spans"
    table = Table(title=f"{title}; medians of {whole.rounds} rounds", box=box.SIMPLE, padding=(0, 1))
    table.add_column("mode", no_wrap=True)
    for column in MEASURES:
        table.add_column(column, justify="right")
    for result in results:
        table.add_row(result.mode, *_cells(result))
    return table


def _cells(result: LatencyResult) -> list[str]:
    """The texts of `MEASURES`, empty where a mode has no such figure."""
    wait = result.hand_over_seconds
    return [
        f"{result.seconds:.3g}",
        "{:.3g}-{:.3g}".format(*result.seconds_range),
        _number(result.times_small, ".2f"),
        _number(result.predicted_seconds, ".3g"),
        _number(result.overhead_seconds, ".2f"),
        _number(None if wait is None else 1000 * wait, ".0f"),
        _number(result.control_tokens / result.big_tokens if result.spans else None, ".2f"),
        _number(result.overrun_tokens if result.spans else None, ".1f"),
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
