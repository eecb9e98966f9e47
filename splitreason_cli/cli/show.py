"""srx show"""

import contextlib
import itertools
import os
import shlex
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..errors import InputError, UsageError
from ..layouts.marked import EVERYTHING, records_of
from ..layouts.reading import Reading
from ..records.data import GrpoStep, Record, TrainStep
from ..store.jsonl import write_atomically
from ..store.source import STDIN, Quarantine, Source, raise_first_rejected, raise_if_rejected, read_records
from .console import note, stdout
from .options import lines_of
from .reading_options import Columns
from .render import render, steps_table
from .values import columns as read_columns


def register(app: typer.Typer) -> None:
    app.command("show", epilog="Example: srx show annotated.jsonl --id mini-0003")(show)


def show(
    file: Annotated[
        str, typer.Argument(help="JSONL of any record kind, or rows of a dataset; - is standard input.")
    ] = "-",
    record_id: Annotated[str | None, typer.Option("--id", help="Only the record with this id.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many records; 0 is all.")] = 0,
    pager: Annotated[bool, typer.Option("--pager/--no-pager", help="Page on a terminal.")] = True,
    columns: Columns = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write an HTML page of all texts.")] = None,
) -> None:
    """Print records with their offloaded spans highlighted: in colour, and in ⟦brackets⟧ where there is none.

    With --html all texts go onto one page instead, to search and to read.
    """
    source, reading = Source.stream(file), replace(EVERYTHING, columns=read_columns(columns))
    if html:
        _write_page(source, reading, html, record_id, limit)
        return
    records = _selected(source, reading, record_id, Quarantine())
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


def _write_page(source: Source, reading: Reading, html: Path, record_id: str | None, limit: int) -> None:
    """Write the page, and beside it the lines that are no records.

    Raises UsageError for a page that is no file or the input, InputError without a text, PartialError after the page is
    written if lines were rejected.
    """
    if str(html) == STDIN:
        raise UsageError("--html is a file", "Write a name such as page.html")
    if html.exists() and source.path.exists() and html.samefile(source.path):
        raise UsageError(f"--html: {html} is the file to be shown", "Write another name, such as page.html")
    from ..showing.page import RecordsPage

    place = Path(f"{html}.rejected.jsonl")
    with tempfile.TemporaryDirectory(prefix="srx-") as folder:
        quarantine = Quarantine(Path(folder) / place.name)
        page = RecordsPage()
        page.add(itertools.islice(_selected(source, reading, record_id, quarantine), limit or None))
        shown, read = page.kinds.total(), page.kinds.total() + page.figures.total()
        if not shown:
            raise_first_rejected(Path(folder) / place.name)
            raise _no_text(source, page.figures) if read else _nothing(source, record_id)
        command = shlex.join(["srx", *sys.argv[1:]])
        rejected = f"{quarantine.count:,} records, see {place.name}"
        page.write(html, Path(source.label).name, command, rejected if quarantine.count else "")
        if quarantine.count:
            write_atomically(place, lines_of(Path(folder) / place.name))
        else:
            place.unlink(missing_ok=True)
    note(f"{shown:,} records -> {html}")
    for kind, left_out in page.figures.items():
        note(f"warning: {left_out:,} {kind} left out, as they hold no text")
    # One id's records say nothing of how many the file holds.
    raise_if_rejected(quarantine.count, read if record_id is None else None, place)


def _no_text(source: Source, kinds: Iterable[str]) -> InputError:
    from ..viewing.records import VIEWED

    return InputError(
        f"{source.label}: a {' or '.join(kinds)} holds no text", f"Give {', '.join(VIEWED)}; or see srx stats"
    )


def _nothing(source: Source, record_id: str | None) -> InputError:
    return InputError(f"{source.label}: no record to show", f"No record has the id {record_id!r}")


def _selected(source: Source, reading: Reading, record_id: str | None, quarantine: Quarantine) -> Iterator[Record]:
    rows = read_records(source, partial(records_of, reading=reading), quarantine)
    for record in itertools.chain.from_iterable(rows):
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
