"""srx bench"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.progress import TaskID
from rich.table import Table

from ..adapters.jsonl import encode, write_atomically
from ..adapters.store import Store
from ..core.records import BenchResult, label
from . import console
from .options import Hint, deliver_results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stages.bench import BenchConfig, System, SystemRun


def register(app: typer.Typer) -> None:
    app.command("bench", epilog="Example: srx bench mini --systems small,big,random,split --offload-budget 5%")(bench)


def bench(
    task: Annotated[
        str, typer.Argument(help="mini, a JSONL file with problem and answer, or latency on two vLLM servers.")
    ],
    systems: Annotated[
        str, typer.Option(help="Comma-separated: small, big, split, random, oracle.")
    ] = "small,big,random,split",
    small: Annotated[str, typer.Option(help="Small model: a folder, a Hugging Face name, mini-split.")] = "mini-split",
    big: Annotated[str, typer.Option(help="Big model with the same vocabulary.")] = "mini-big",
    offload_budget: Annotated[
        str, typer.Option(help="Cap on big tokens / all tokens over the run; a list runs split once for each.")
    ] = "none",
    random_share: Annotated[
        str | None, typer.Option(help="Offload share of system random, instead of each split run's.")
    ] = None,
    random_span_tokens: Annotated[int, typer.Option(min=1, help="Span length that goes with --random-share.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Completions a problem.")] = 1,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Nucleus sampling.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens a completion, tags not counted.")] = 256,
    max_span_tokens: Annotated[int | None, typer.Option(min=1, help="Take back after so many tokens.")] = None,
    problems: Annotated[int, typer.Option(min=0, help="Use only the first N problems; 0 uses all.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Completions decoded together.")] = 128,
    seed: Annotated[int, typer.Option(help="Of sampling and of random hand-overs.")] = 0,
    hint: Hint = True,
    out: Annotated[
        str | None, typer.Option("--out", help="JSONL of bench_result records; - is standard output.")
    ] = None,
    generations: Annotated[str | None, typer.Option(help="JSONL of generation records, who wrote what.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="latency: runs of every mode.")] = 5,
    tokens: Annotated[int, typer.Option(min=100, help="latency: tokens of every run.")] = 2048,
    vllm_args: Annotated[str, typer.Option(help="latency: arguments of the vLLM servers started, in quotes.")] = "",
) -> None:
    """Measure accuracy and offload share of several systems on the same problems, with 95 % intervals.

    Task latency measures instead how long the pipelined pair takes on two vLLM servers, which --small and --big name by
    URL or which are started for it.
    """
    console.quiet_libraries()
    if task == "latency":
        from .bench_latency import run

        run(small, big, rounds, tokens, vllm_args, out)
        return
    from ..stages.bench import BenchConfig, System, read_generations
    from .values import budgets, names, share

    config = BenchConfig(
        task=task, small=small, big=big, samples=samples, temperature=temperature, top_p=top_p, max_tokens=max_tokens,
        max_span_tokens=max_span_tokens, problems=problems, batch_size=batch_size, seed=seed, hint=hint,
    )  # fmt: skip
    chance = None
    if random_share is not None:
        chance = System("random", None, share("--random-share", random_share), random_span_tokens)
    runs = run_bench(config, names(systems), budgets(offload_budget), Store.default(), chance)
    results = [run.result for run in runs]
    deliver_results(results, results_table(results), out)
    if generations:
        write_atomically(Path(generations), (encode(g) for run in runs for g in read_generations(run.artifact)))


def run_bench(
    config: "BenchConfig",
    systems: list[str],
    offload_budgets: list[float | None],
    store: Store,
    chance: "System | None" = None,
    title: str = "bench",
) -> "list[SystemRun]":
    """Run a benchmark with one progress line a system, which begins with `title`."""
    from ..stages import bench as stage

    runs: list[SystemRun] = []
    with console.progress() as live:
        tasks: list[TaskID] = []

        def on_start(system: stage.System, total: int) -> None:
            tasks.append(live.add_task(f"{title} {label(system.name, system.offload_budget)}", total=total, note=""))

        running: Iterator[SystemRun] = stage.bench(
            config, systems, offload_budgets, store, chance=chance,
            on_start=on_start, on_progress=lambda done: live.update(tasks[-1], completed=done),
        )  # fmt: skip
        for run in running:
            runs.append(run)
            note = f"pass@1 {run.result.pass_at_1:.3f}, offload {run.result.offload_share:.1%}"
            note += ", cached" if run.cached else ""
            live.update(tasks[-1], completed=run.artifact.info.records, note=note)
    return runs


def results_table(results: list[BenchResult]) -> Table:
    """The results as a table for a terminal."""
    title = f"{results[0].task}, {results[0].problems} problems" if results else None
    table = Table(title=title, box=box.SIMPLE, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("system", no_wrap=True)
    for column in ("pass@1", "95 % interval", "offload", "big", "tokens", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for result in results:
        interval = "{:.3f} to {:.3f}".format(*result.ci95)
        table.add_row(
            label(result.system, result.offload_budget), f"{result.pass_at_1:.3f}", interval,
            f"{result.offload_share:.2%}", f"{result.big_tokens:,}", f"{result.tokens:,}", f"{result.seconds:.1f}",
        )  # fmt: skip
    return table
