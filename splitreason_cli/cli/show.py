"""srx show"""

import contextlib
import itertools
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..errors import InputError, UsageError
from ..records.data import GrpoStep, Record, TrainStep, read_any
from ..store.source import STDIN, Quarantine, Source, raise_first_rejected, raise_if_rejected, read_records
from . import console as people
from .console import stdout
from .render import render, steps_table


def register(app: typer.Typer) -> None:
    app.command("show", epilog="Example: srx show annotated.jsonl --id mini-0003")(show)


def show(
    file: Annotated[str, typer.Argument(help="JSONL of any record kind; - is standard input.")] = "-",
    record_id: Annotated[str | None, typer.Option("--id", help="Only the record with this id.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many records; 0 is all.")] = 0,
    pager: Annotated[bool, typer.Option("--pager/--no-pager", help="Page on a terminal.")] = True,
    html: Annotated[Path | None, typer.Option("--html", help="Write an HTML page to search and read in.")] = None,
) -> None:
    """Print records with their offloaded spans highlighted: in colour, and in ⟦brackets⟧ where there is none."""
    source = Source.stream(file)
    if html:
        _write_page(source, html, record_id, limit)
        return
    records = _selected(source, record_id, Quarantine())
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
        raise _nothing(source, record_id)


def _write_page(source: Source, html: Path, record_id: str | None, limit: int) -> None:
    """Write the page. Lines that are no records go into a file beside it, and the exit code says so."""
    if str(html) == STDIN:
        raise UsageError("--html is a file", "Write a name such as page.html")
    if html.exists() and source.path.exists() and html.samefile(source.path):
        raise UsageError(f"--html: {html} is what is to be shown", "Write another name, such as page.html")
    from ..showing.page import RecordsPage
    from ..viewing.records import VIEWED

    place = html.with_name(f"{html.name}.rejected.jsonl")
    quarantine = Quarantine(place)
    page = RecordsPage()
    page.add(itertools.islice(_selected(source, record_id, quarantine), limit or None))
    count = page.kinds.total()
    if not count:
        raise_first_rejected(place)
        if page.figures:
            kinds = ", ".join(page.figures)
            raise InputError(f"{source.label}: no text in {kinds}", f"A page shows {', '.join(VIEWED)}; see srx stats")
        raise _nothing(source, record_id)
    rejected = f"{quarantine.count:,} lines that are no records, see {place.name}." if quarantine.count else ""
    title = "standard input" if source.path == Path(STDIN) else source.path.name
    page.write(html, title, shlex.join(["srx", *sys.argv[1:]]), rejected)
    people.note(f"{count:,} records -> {html}")
    for kind, left_out in page.figures.items():
        people.note(f"warning: {left_out:,} {kind} left out, as they hold no text")
    raise_if_rejected(quarantine.count, count, place)


def _nothing(source: Source, record_id: str | None) -> InputError:
    return InputError(f"{source.label}: no record to show", f"No record has the id {record_id!r}")


def _selected(source: Source, record_id: str | None, quarantine: Quarantine) -> Iterator[Record]:
    for record in read_records(source, read_any, quarantine):
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
