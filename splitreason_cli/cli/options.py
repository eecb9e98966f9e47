"""Flags that several commands share, and what every record stage does with its output."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import RenderableType
from rich.progress import Progress

from ..errors import PartialError, UsageError
from ..records.data import Record, Rejected
from ..store.artifacts import Artifact, Store
from ..store.jsonl import encode, read_lines, write_atomically
from ..store.source import STDIN, Source, raise_first_rejected, raise_if_rejected
from ..training.trainers import OnStep, StepReport
from . import console
from .faults import counted

In = Annotated[
    str,
    typer.Option(
        "--in",
        help="JSONL (gzip or zstd by suffix) or parquet file, hf://owner/dataset?split=train, - for standard input.",
    ),
]
Out = Annotated[str, typer.Option("--out", help="JSONL to write, gzip or zstd by suffix; - is standard output.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first bad record instead of quarantining it.")]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh", help="Start anew: take no finished result, and discard what an interrupted run of this has left."
    ),
]
Hint = Annotated[bool, typer.Option("--hint/--no-hint", help="Tell the small model about the tags in its prompt.")]

OnRecord = Callable[[bytes], None]
OnProgress = Callable[..., None]
RecordStage = Callable[[Source, Store, OnRecord, OnProgress], tuple[Artifact, bool]]
"""Called with the source, the store, what to do with each record, and what to tell progress: lines, maybe a note."""


def open_store(*, fresh: bool = False) -> Store:
    """The user's store, which tells people what it goes on with."""
    return Store.default(console.note, fresh=fresh)


def run_record_stage(
    name: str,
    in_: str,
    out: str,
    stage: RecordStage,
    *,
    strict: bool,
    fresh: bool = False,
    limit: int = 0,
    summary: Callable[[], str] = lambda: "",
    deliver: Callable[[Artifact], None] = lambda artifact: None,
) -> None:
    """Run a stage from JSONL to JSONL with progress, deliver its records to `out`, and print its `summary`.

    At most `limit` lines will be read, if it is not 0.
    `deliver` does what else is to be done with the artifact, before anything is said about quarantined records.

    Raises UsageError if `out` is the input; PartialError if records were quarantined, after the good ones were
    delivered; if `strict`, RecordError and nothing is delivered.
    """
    if out != STDIN and Path(out).is_file() and Path(in_).is_file() and Path(out).samefile(in_):
        raise UsageError(f"--out: {out} is the input, and would be lost", "Write another file")
    on_record = console.emit if out == STDIN else lambda line: None
    artifact, cached = _watched(name, in_, stage, open_store(fresh=fresh), on_record, limit)
    if text := summary():
        console.say(f"{name}: {text}")
    if strict:
        raise_first_rejected(artifact.rejected)
    if out != STDIN:
        write_atomically(Path(out), lines_of(artifact.records))
    elif cached:
        for line in lines_of(artifact.records):
            console.emit(line)
    deliver(artifact)
    finish(artifact, cached, out)


def _watched(
    name: str, in_: str, stage: RecordStage, store: Store, on_record: OnRecord, limit: int
) -> tuple[Artifact, bool]:
    """Run a stage below a progress line, whose total is what is known of the input's length."""
    source = Source.open(in_, store)
    with console.progress() as live:
        total = source.length()
        total = min(total, limit) if total and limit else total or limit or None
        task = live.add_task(name, total=total, note="")
        tell = console.ticker(name, total)

        def on_progress(done: int, note: str = "") -> None:
            live.update(task, completed=done, note=note)
            if not console.stderr.is_terminal:
                tell(done)

        artifact, cached = stage(source, store, on_record, on_progress)
        if not artifact.unfinished:
            rows = total or artifact.info.records
            live.update(task, completed=rows, total=rows)
    return artifact, cached


def deliver_results(results: Sequence[Record], table: RenderableType, out: str | None) -> None:
    """Print a table of results, and write the records to `out`, if it is given."""
    # Where the records go to standard output, the table is for people.
    (console.stderr if out == STDIN else console.stdout()).print(table)
    lines = [encode(result) for result in results]
    if out == STDIN:
        for line in lines:
            console.emit(line)
    elif out:
        write_atomically(Path(out), iter(lines))


def finish(artifact: Artifact, cached: bool, out: str, unit: str = "records") -> None:
    """Say where the result is, put rejected records beside it, and raise PartialError if there are any."""
    what = "already done" if cached else "done"
    where = "" if out == STDIN else f" -> {out}"
    console.say(f"{what}: {artifact.info.records:,} {unit}{where}  [dim](artifact {artifact.info.key})[/]")
    rejected = sum(1 for _ in lines_of(artifact.rejected)) if artifact.rejected.exists() else 0
    place = artifact.rejected
    if out != STDIN:
        place = Path(f"{out.rstrip('/')}.rejected.jsonl")
        if rejected:
            write_atomically(place, lines_of(artifact.rejected))
        else:
            place.unlink(missing_ok=True)
    if rejected:
        entries = (Rejected.from_dict(orjson.loads(line)) for line in lines_of(artifact.rejected))
        console.note(f"rejected: {counted(entry.reason for entry in entries)}")
    if artifact.unfinished:
        where = f" The rejected records are in {place}" if rejected else ""
        raise PartialError(artifact.unfinished, where.strip())
    raise_if_rejected(rejected, artifact.info.records if unit == "records" else None, place)


def lines_of(path: Path) -> Iterator[bytes]:
    return (line.data for line in read_lines(path))


def stepper(live: Progress, description: str) -> OnStep:
    """A progress line for a trainer: step, number of steps, time left, loss, speed."""
    task = live.add_task(description, total=None, note="")

    def on_step(report: StepReport) -> None:
        note = f"loss {report.loss:.3f}, {report.tokens_per_second:,.0f} tokens/s"
        if live.tasks[task].total is None:
            # Neither loading nor the steps of an earlier run say how long one step takes.
            live.reset(task, total=report.total, completed=report.step, note=note)
        live.update(task, completed=report.step, note=note)

    return on_step
