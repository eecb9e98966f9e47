"""srx bench"""

import shlex
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import SrxError, UsageError
from ..measuring.systems.named import SYSTEMS, split_names
from ..records.data import BenchComparison, BenchResult, Generation, Record
from ..store.artifacts import Store
from ..store.jsonl import encode, write_atomically
from ..store.source import STDIN, raise_if_rejected
from ..tasks.named import TASKS, task_of
from . import console, values
from .bench_live import LiveRuns
from .bench_tables import comparisons_table, endings_table, results_table
from .options import Hint
from .side_options import (
    PANEL,
    BigArgs,
    BigGpu,
    BigKeyEnv,
    BigServedName,
    BigText,
    BigTokenizer,
    SmallArgs,
    SmallGpu,
    SmallKeyEnv,
    SmallServedName,
    SmallTokenizer,
)

if TYPE_CHECKING:
    from ..measuring.runner import BenchConfig
    from ..measuring.systems.base import System
    from ..measuring.where import Backends

OUTPUT = "Logs and results"
PLOT_SUFFIXES = (".png", ".svg", ".pdf")
COMPARE = ("task", "runs", "out")
LATENCY = ("task", "small", "big", "rounds", "tokens", "vllm_args", "out")
GRADE = ("task", "data", "from_", "out", "generations", "report", "plot")
Graded = Sequence[tuple[BenchResult, Iterable[Generation]]]


def register(app: typer.Typer) -> None:
    app.command("bench", epilog="Example: srx bench mini --systems small,big,random,split --offload-budget 5%")(bench)


def bench(
    context: typer.Context,
    task: Annotated[
        str,
        typer.Argument(
            help=f"{', '.join(TASKS.own)}, a plugin's, a file or hf:// dataset of problem and answer; latency; compare."
        ),
    ],
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="compare: two files of --generations or --out, or store keys; FILE:split@5% picks one."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="File with the task's problems, where it cannot be downloaded.")
    ] = None,
    systems: Annotated[
        str,
        typer.Option(help=f"Comma-separated: {', '.join(SYSTEMS)}; relay(16,64) is explicit."),
    ] = "small,big,random,split",
    policy: Annotated[
        str, typer.Option(help="When split hands over: learned, learned(0.3), relay(16), entropy(1.5), keyword(Wait).")
    ] = "learned",
    small: Annotated[
        str, typer.Option(help="Small model: a folder, a name, mini-split, or URLs of servers.")
    ] = "mini-split",
    big: Annotated[str, typer.Option(help="Big model, likewise.")] = "mini-big",
    offload_budget: Annotated[
        str, typer.Option(help="Cap on big tokens / all tokens over the run; a list runs split once for each.")
    ] = "none",
    random_share: Annotated[
        str | None, typer.Option(help="Offload share of system random, instead of each split's own spans.")
    ] = None,
    random_span_tokens: Annotated[int, typer.Option(min=1, help="Span length that goes with --random-share.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Completions a problem.")] = 16,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.6,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Nucleus sampling.")] = 0.95,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens a completion, tags not counted; default of the task: mini 256, else 32768."),
    ] = None,
    max_span_tokens: Annotated[int | None, typer.Option(min=1, help="Take back after so many tokens.")] = None,
    problems: Annotated[int, typer.Option(min=0, help="Use only the first N problems; 0 uses all.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Completions decoded together in this process.")] = 128,
    seed: Annotated[int, typer.Option(help="Of sampling and of random hand-overs.")] = 0,
    hint: Hint = True,
    runtime: Annotated[
        Literal["in-process", "vllm"],
        typer.Option(help="Where models that are no URLs run; vllm starts servers.", rich_help_panel=PANEL),
    ] = "in-process",
    concurrency: Annotated[int, typer.Option(min=1, help="Samples in flight on servers.", rich_help_panel=PANEL)] = 16,
    small_key_env: SmallKeyEnv = None,
    big_key_env: BigKeyEnv = None,
    small_tokenizer: SmallTokenizer = None,
    big_tokenizer: BigTokenizer = None,
    small_served_name: SmallServedName = None,
    big_served_name: BigServedName = None,
    big_text: BigText = False,
    small_gpu: SmallGpu = None,
    big_gpu: BigGpu = None,
    vllm_args: Annotated[
        str, typer.Option(help="Arguments of both vLLM servers started, in quotes.", rich_help_panel=PANEL)
    ] = "",
    small_args: SmallArgs = "",
    big_args: BigArgs = "",
    log_folder: Annotated[
        Path, typer.Option(help="Where vLLM servers that are started write.", rich_help_panel=PANEL)
    ] = Path("srx-bench-logs"),
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Grade the completions of this log, of another program or ours; decode nothing.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            help="JSONL of bench_result and bench_comparison records; - is standard output.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    generations: Annotated[
        str | None,
        typer.Option(help="JSONL of generation records, who wrote what; - is standard output.", rich_help_panel=OUTPUT),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="HTML page with every trace.", rich_help_panel=OUTPUT)] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Accuracy over share, as png, svg or pdf.", rich_help_panel=OUTPUT)
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="latency: runs of every mode.", rich_help_panel="Task latency")
    ] = 5,
    tokens: Annotated[
        int, typer.Option(min=100, help="latency: tokens of every run.", rich_help_panel="Task latency")
    ] = 2048,
) -> None:
    """Measure accuracy and offload share of several systems on the same problems, with 95 % intervals.

    Task compare compares two runs that are there already. Task latency measures how long the pipelined pair takes
    on two vLLM servers, which --small and --big name by URL or which are started for it.
    """
    console.quiet_libraries()
    if task == "compare":
        _refuse_flags(context, COMPARE, "srx bench compare")
        return compare(runs or [], out)
    if runs:
        raise UsageError(f"unexpected argument {runs[0]!r}", "Only srx bench compare takes files")
    if task == "latency":
        _refuse_flags(context, LATENCY, "srx bench latency")
        from .bench_latency import run

        return run(small, big, rounds, tokens, vllm_args, out)
    outputs = Outputs(out, generations, report, plot)
    if from_ is not None:
        _refuse_flags(context, GRADE, "--from, which decodes nothing")
        return grade_log(task, data, from_, outputs)
    from ..measuring.runner import BenchConfig
    from ..measuring.systems.random import RandomShare
    from ..measuring.where import Backends
    from ..models.sides import Side

    config = BenchConfig(
        task=task, small=small, big=big, samples=samples, temperature=temperature, top_p=top_p,
        max_tokens=max_tokens or task_of(task).max_tokens,
        max_span_tokens=max_span_tokens, problems=problems, batch_size=batch_size, seed=seed, hint=hint, data=data,
    )  # fmt: skip
    _refuse_flags(context, [name for name in context.params if name not in ("rounds", "tokens")], f"task {task}")
    chance = None
    if random_share is not None:
        chance = RandomShare(values.share("--random-share", random_share), random_span_tokens)
    both = values.arguments("--vllm-args", vllm_args)
    small_side = Side(
        small, small_tokenizer, small_key_env, small_gpu, (*both, *values.arguments("--small-args", small_args)),
        small_served_name,
    )  # fmt: skip
    big_side = Side(
        big, big_tokenizer, big_key_env, big_gpu, (*both, *values.arguments("--big-args", big_args)), big_served_name,
        big_text,
    )  # fmt: skip
    backends = Backends(small_side, big_side, runtime, concurrency, batch_size, log_folder)
    budgets = values.budgets(offload_budget)
    return measure(config, split_names(systems), budgets, chance, policy, backends, outputs)


class Outputs:
    """What a benchmark writes: files, and records on standard output, whose tables then go to standard error.

    Raises UsageError for a report or plot that is no file of a known format, and for two sorts of records on standard
    output.
    """

    def __init__(
        self, out: str | None = None, generations: str | None = None, report: Path | None = None,
        plot: Path | None = None,
    ) -> None:  # fmt: skip
        if plot is not None and plot.suffix not in PLOT_SUFFIXES:
            raise UsageError(f"--plot: {plot} is no {', '.join(PLOT_SUFFIXES)}", "Write a name such as frontier.png")
        if str(report) == STDIN:
            raise UsageError("--report is a file", "Write a name such as report.html")
        if out == generations == STDIN:
            raise UsageError("--out and --generations are both standard output", "Give one of them a file")
        self.out, self.generations, self.report, self.plot = out, generations, report, plot
        self.screen = console.stderr if STDIN in (out, generations) else console.stdout()

    def write_files(self, runs: Graded, comparisons: Sequence[BenchComparison]) -> None:
        """All that is a file. This comes before any table, whose reader may end the command."""
        results = [result for result, _ in runs]
        if self.out and self.out != STDIN:
            write_atomically(Path(self.out), map(encode, (*results, *comparisons)))
        if self.generations and self.generations != STDIN:
            write_atomically(Path(self.generations), (encode(one) for _, made in runs for one in made))
        if self.report:
            from ..measuring.report.page import write_report

            command = shlex.join(["srx", *sys.argv[1:]])
            title = f"srx bench {results[0].task}" if results else "srx bench"
            write_report(self.report, title, [], runs, comparisons, commands=[command])
        if self.plot:
            from ..measuring.report.frontier import points_of, write_pareto

            if points_of(results):
                write_pareto(self.plot, results)
            else:
                console.note(f"warning: no {self.plot}, as nothing says how many tokens the big model wrote")

    def emit(self, runs: Graded, comparisons: Sequence[BenchComparison]) -> None:
        """What goes to standard output."""
        records: Iterable[Record] = ()
        if self.out == STDIN:
            records = (*(result for result, _ in runs), *comparisons)
        elif self.generations == STDIN:
            records = (one for _, made in runs for one in made)
        for record in records:
            console.emit(encode(record))


def measure(
    config: "BenchConfig",
    systems: Sequence[str],
    budgets: Sequence[float | None],
    chance: "System | None",
    policy: str,
    backends: "Backends",
    outputs: Outputs,
) -> None:
    """Run the systems and deliver what they come to; interrupted or failed, show what is known, then raise."""
    from ..measuring.bench import StoredGenerations, comparisons

    live = LiveRuns(config)
    try:
        live.run(systems, budgets, Store.default(), chance, policy, backends)
    except (KeyboardInterrupt, SrxError):
        known = [run.result for run in live.runs]
        unfinished = live.partial()
        if known or unfinished:
            show_results([*known, *([unfinished] if unfinished else [])], outputs, live.partly())
        raise
    runs = [(run.result, StoredGenerations(run.artifact)) for run in live.runs]
    compared = list(comparisons(live.runs))
    found = [comparison for comparison, _ in compared]
    outputs.write_files(runs, found)
    show_results([result for result, _ in runs], outputs)
    show_comparisons(compared, outputs)
    outputs.emit(runs, found)


def grade_log(task: str, data: str | None, log: str, outputs: Outputs) -> None:
    """Grade generations made elsewhere, and deliver what they come to."""
    from ..measuring.grade_log import bench_log

    store = Store.default()
    rejected = store.folder("spool") / "bench.rejected.jsonl"
    if outputs.out and outputs.out != STDIN:
        rejected = Path(f"{outputs.out}.rejected.jsonl")
    with console.progress() as live:
        bar = live.add_task("grade", total=None, visible=False, note="")
        graded = bench_log(
            task, data, log, store, rejected,
            lambda done, total: live.update(bar, completed=done, total=total, visible=True),
        )  # fmt: skip
    outputs.write_files(graded.runs, [])
    show_results([result for result, _ in graded.runs], outputs)
    for warning in graded.warnings():
        console.note(f"warning: {warning}")
    outputs.emit(graded.runs, [])
    raise_if_rejected(graded.rejected, None, rejected)


def compare(runs: Sequence[str], out: str | None) -> None:
    """Print the paired comparison of two runs."""
    from ..measuring.compare import bench_compare

    if len(runs) != 2:
        raise UsageError(f"compare takes two runs, got {len(runs)}", "Write: srx bench compare A.jsonl B.jsonl")
    outputs = Outputs(out)
    compared = bench_compare(runs[0], runs[1], Store.default())
    found = [comparison for comparison, _ in compared]
    outputs.write_files([], found)
    show_comparisons(compared, outputs)
    outputs.emit([], found)


def show_results(results: Sequence[BenchResult], outputs: Outputs, partly: str = "") -> None:
    """The tables of results; `partly` says how much of the last one is done, if not all."""
    outputs.screen.print(results_table(results, partly))
    outputs.screen.print(endings_table(results))


def show_comparisons(compared: Sequence[tuple[BenchComparison, str]], outputs: Outputs) -> None:
    """The table of comparisons, and what is to be warned of."""
    if compared:
        outputs.screen.print(comparisons_table([comparison for comparison, _ in compared]))
    warnings = [warning for _, warning in compared if warning]
    if warnings:
        console.note("warning: too few problems to rely on a difference (80 % power to see it):")
    for warning in warnings:
        console.note(f"  {warning}")


def _refuse_flags(context: typer.Context, known: Collection[str], what: str) -> None:
    """Raise UsageError for a flag on the command line that means nothing there."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in known and source and source.name == "COMMANDLINE":
            raise UsageError(f"{parameter.opts[0]} means nothing to {what}", "Leave it out")
