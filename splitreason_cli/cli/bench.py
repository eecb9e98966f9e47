"""srx bench"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SrxError, UsageError
from ..records.data import Extract
from ..store.artifacts import Store
from ..store.source import STDIN, raise_if_rejected, scratch_folder
from ..tasks.named import TASKS
from . import console, values
from .bench_compare import compare
from .bench_latency import latency
from .bench_live import LiveRuns
from .bench_options import Decoding, Measured, Places
from .bench_outputs import PANEL, Outputs
from .groups import DefaultGroup
from .option_groups import expanded, given_flags
from .options import open_store
from .reading_options import Columns

if TYPE_CHECKING:
    from ..measuring.grade_log import LogToGrade
    from ..measuring.runner import BenchConfig
    from ..measuring.where import Backends


def _offered(incomplete: str) -> list[str]:
    return [word for word in (*TASKS, "compare", "latency") if word.startswith(incomplete)]


Task = Annotated[
    str,
    typer.Argument(
        help=f"{', '.join(TASKS.own)}, one of a plugin, or a file or hf:// dataset with problem and answer.",
        autocompletion=_offered,
    ),
]
Log = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Grade the completions of this log, of another program or ours; decode nothing.",
        rich_help_panel=PANEL,
    ),
]

System = Annotated[
    str | None,
    typer.Option(
        "--system",
        help="What to call what made the log, in place of what that says; live runs name theirs by --systems.",
        rich_help_panel=PANEL,
    ),
]
ExtractOption = Annotated[
    Extract,
    typer.Option(
        "--extract",
        help="Where an answer is: in its box, in what is said last, or auto: the box, or else what is said last.",
        rich_help_panel=PANEL,
    ),
]

group = typer.Typer(cls=DefaultGroup)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="bench")


@group.command(epilog="Example: srx bench mini --systems small,big,random,split --offload-budget 5%")
@expanded
def bench(
    context: typer.Context,
    task: Task,
    *,
    data: Annotated[
        str | None, typer.Option(help="File with the task's problems, where it cannot be downloaded.")
    ] = None,
    columns: Columns = None,
    measured: Measured,
    decoding: Decoding,
    places: Places,
    from_: Log = None,
    system: System = None,
    extract: ExtractOption = "box",
    outputs: Outputs,
) -> None:
    """Measure accuracy and offload share of several systems on the same problems, with 95 % intervals.

    Two commands have flags and a help of their own: srx bench compare compares two runs that are there already, and
    srx bench latency measures how long the pipelined pair takes on two vLLM servers. A file of such a name is ./compare
    here.
    """
    console.quiet_libraries()
    if from_ is not None:
        if flags := given_flags(context, Measured, Decoding, Places):
            raise UsageError(f"{flags[0]} means nothing to --from, which decodes nothing", "Leave it out")
        from ..measuring.grade_log import LogToGrade

        return grade_log(LogToGrade(task, from_, data, system, extract, values.columns(columns)), outputs)
    if system is not None:
        raise UsageError("--system names what made a log", "Give the log with --from, or name systems with --systems")
    config = replace(decoding.config(task, data, measured, extract), columns=values.columns(columns))
    backends = places.backends(measured, decoding.batch_size)
    return measure(config, measured, backends, outputs, open_store(fresh=decoding.fresh))


def measure(config: "BenchConfig", measured: Measured, backends: "Backends", outputs: Outputs, store: Store) -> None:
    """Run the systems and deliver what they come to; interrupted or failed, show what is known, then raise."""
    from ..measuring.bench import StoredGenerations, comparisons

    lineup = measured.lineup()
    live = LiveRuns(config)
    try:
        live.run(lineup, store, backends)
    except (KeyboardInterrupt, SrxError):
        known = [run.result for run in live.runs]
        unfinished = live.partial()
        if known or unfinished:
            outputs.show_results([*known, *([unfinished] if unfinished else [])], live.partly())
        raise
    runs = [(run.result, StoredGenerations(run.artifact)) for run in live.runs]
    compared = list(comparisons(live.runs))
    found = [comparison for comparison, _ in compared]
    outputs.write_files(runs, found)
    outputs.show_results([result for result, _ in runs])
    outputs.show_comparisons(compared)
    outputs.emit(runs, found)


def grade_log(asked: "LogToGrade", outputs: Outputs) -> None:
    """Grade generations made elsewhere, and deliver what they come to."""
    from ..measuring.grade_log import bench_log

    store = Store.default()
    if outputs.out and outputs.out != STDIN:
        rejected = Path(f"{outputs.out}.rejected.jsonl")
    else:
        rejected = scratch_folder(store, outlives=True) / "bench.rejected.jsonl"
    with console.progress() as live:
        bar = live.add_task("grade", total=None, visible=False, note="")

        def on_progress(done: int, total: int) -> None:
            live.update(bar, completed=done, total=total, visible=True)

        graded = bench_log(asked, store, rejected, on_progress)
    notes = [*graded.notes()]
    outputs.write_files(graded.runs, [], notes)
    for note in notes:
        console.note(note)
    outputs.show_results([result for result, _ in graded.runs])
    for warning in graded.warnings():
        console.note(f"warning: {warning}")
    outputs.emit(graded.runs, [])
    raise_if_rejected(graded.rejected, None, rejected)


group.command("compare", epilog="Example: srx bench compare results.jsonl:split@5% results.jsonl:random@5%")(compare)
group.command("latency", epilog="Example: srx bench latency --rounds 9 --out latency.jsonl")(latency)
