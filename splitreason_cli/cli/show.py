"""srx show"""

import contextlib
import itertools
import os
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console

from ..errors import InputError
from ..records.data import GrpoStep, Record, TrainStep, read_any
from ..store.source import Quarantine, Source, read_records
from .console import stdout
from .render import render, steps_table


def register(app: typer.Typer) -> None:
    app.command("show", epilog="Example: srx show annotated.jsonl --id mini-0003")(show)


def show(
    file: Annotated[str, typer.Argument(help="JSONL of any record kind; - is standard input.")] = "-",
    record_id: Annotated[str | None, typer.Option("--id", help="Only the record with this id.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many records; 0 is all.")] = 0,
    pager: Annotated[bool, typer.Option("--pager/--no-pager", help="Page on a terminal.")] = True,
) -> None:
    """Print records with their offloaded spans highlighted: in colour, and in ⟦brackets⟧ where there is none."""
    source = Source.stream(file)
    records = _selected(source, record_id)
    console = stdout()
    with _paged(console, pager):
        shown = 0
        for kind, run in itertools.groupby(itertools.islice(records, limit or None), type):
            if issubclass(kind, TrainStep | GrpoStep):
                steps = list(run)
                console.print(steps_table(steps))
                shown += len(steps)
                continue
            for record in run:
                console.print(render(record))
                shown += 1
    if not shown:
        raise InputError(f"{source.label}: no record to show", f"No record has the id {record_id!r}")


def _selected(source: Source, record_id: str | None) -> Iterator[Record]:
    for record in read_records(source, read_any, Quarantine()):
        if record_id is None or getattr(record, "id", None) == record_id:
            yield record


@contextlib.contextmanager
def _paged(console: Console, wanted: bool) -> Iterator[None]:
    if not (wanted and console.is_terminal):
        yield
        return
    # less shows colours only when told to, and should not swallow a text that fits on the screen.
    os.environ.setdefault("LESS", "-RFX")
    with console.pager(styles=True):
        yield
