"""srx stats"""

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..layouts.marked import EVERYTHING, records_of
from ..layouts.reading import Reading
from ..store.source import Quarantine, Source, read_records
from . import console, values
from .reading_options import Columns

if TYPE_CHECKING:
    from ..showing.distributions import KindStatistics


def register(app: typer.Typer) -> None:
    app.command("stats", epilog="Example: srx stats annotated.jsonl --png spans.png")(stats)


def stats(
    file: Annotated[
        str, typer.Argument(help="JSONL of any record kinds, gzip or zstd by suffix; - is standard input.")
    ] = "-",
    png: Annotated[
        Path | None, typer.Option("--png", help="Draw the histograms into this file: .png, .pdf or .svg.")
    ] = None,
    columns: Columns = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a record kind instead.")] = False,
) -> None:
    """Print statistics of records: where spans lie, what share they cover, how many there are; lengths, rates, losses.

    Each kind of record in the file is reported by itself.
    """
    if png:
        from ..store.figures import require_format

        # A typing error should not cost the reading of a long file.
        require_format(png)
    kinds = _read(Source.stream(file), replace(EVERYTHING, columns=values.columns(columns)))
    if png:
        from ..showing.plots import write_charts

        # Before anything is printed: a reader that closes the pipe early ends the command there.
        write_charts(png, kinds)
        console.say(f"histograms -> {escape(str(png))}")
    if json:
        import orjson

        from ..showing.distributions import to_dict

        for kind in kinds:
            console.emit(orjson.dumps(to_dict(kind), option=orjson.OPT_APPEND_NEWLINE))
    else:
        from .charts import render

        out = console.stdout()
        for kind in kinds:
            out.print(render(kind, out.width))


def _read(source: Source, reading: Reading) -> "list[KindStatistics]":
    from ..showing.distributions import Distributions

    distributions = Distributions()
    tell = console.ticker("stats")
    records = itertools.chain.from_iterable(read_records(source, partial(records_of, reading=reading), Quarantine()))
    for number, record in enumerate(records, start=1):
        distributions.add(record)
        tell(number)
    return distributions.statistics()
