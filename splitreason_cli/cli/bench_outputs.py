"""What srx bench writes: files, tables, records on standard output."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..errors import UsageError
from ..records.data import BenchComparison, BenchResult, Generation, Record
from ..store.jsonl import encode, write_atomically
from ..store.source import STDIN
from . import console
from .bench_tables import comparisons_table, endings_table, results_table

PANEL = "Logs and results"
PLOT_SUFFIXES = (".png", ".svg", ".pdf")
Graded = Sequence[tuple[BenchResult, Iterable[Generation]]]
Compared = Sequence[tuple[BenchComparison, str]]
"""Comparisons, each with what is to be warned of, or empty."""


@dataclass(frozen=True)
class Outputs:
    """What a benchmark writes: files, and records on standard output, whose tables then go to standard error.

    Raises UsageError for a report or plot that is no file of a known format, and for two sorts of records on standard
    output.
    """

    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            help="JSONL of bench_result and bench_comparison records; - is standard output.",
            rich_help_panel=PANEL,
        ),
    ] = None
    generations: Annotated[
        str | None,
        typer.Option(help="JSONL of generation records, who wrote what; - is standard output.", rich_help_panel=PANEL),
    ] = None
    report: Annotated[Path | None, typer.Option(help="HTML page with every trace.", rich_help_panel=PANEL)] = None
    plot: Annotated[
        Path | None, typer.Option(help="Accuracy over share, as png, svg or pdf.", rich_help_panel=PANEL)
    ] = None

    def __post_init__(self) -> None:
        if self.plot is not None and self.plot.suffix not in PLOT_SUFFIXES:
            raise UsageError(
                f"--plot: {self.plot} is no {', '.join(PLOT_SUFFIXES)}", "Write a name such as frontier.png"
            )
        if str(self.report) == STDIN:
            raise UsageError("--report is a file", "Write a name such as report.html")
        if self.out == self.generations == STDIN:
            raise UsageError("--out and --generations are both standard output", "Give one of them a file")

    @property
    def screen(self) -> Console:
        """Where tables go."""
        return console.stderr if STDIN in (self.out, self.generations) else console.stdout()

    def write_files(self, runs: Graded, comparisons: Sequence[BenchComparison], notes: Sequence[str] = ()) -> None:
        """All that is a file, `notes` in the report. This comes before any table, whose reader may end the command."""
        results = [result for result, _ in runs]
        if self.out and self.out != STDIN:
            write_atomically(Path(self.out), map(encode, (*results, *comparisons)))
        if self.generations and self.generations != STDIN:
            write_atomically(Path(self.generations), (encode(one) for _, made in runs for one in made))
        if self.report:
            from ..measuring.report.page import Report, write_report

            command = shlex.join(["srx", *sys.argv[1:]])
            title = f"srx bench {results[0].task}" if results else "srx bench"
            write_report(
                self.report, Report(title, [*notes, *_endings(results)], runs, comparisons, commands=[command])
            )
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

    def show_results(self, results: Sequence[BenchResult], partly: str = "") -> None:
        """The tables of results, and what is to be warned of; `partly` says how much of the last one is done."""
        self.screen.print(results_table(results, partly))
        self.screen.print(endings_table(results))
        for warning in _endings(results):
            console.note(f"warning: {warning}")

    def show_comparisons(self, compared: Compared) -> None:
        """The table of comparisons, and what is to be warned of."""
        if compared:
            self.screen.print(comparisons_table([comparison for comparison, _ in compared]))
        warnings = [warning for _, warning in compared if warning]
        if warnings:
            console.note("warning: too few problems to rely on a difference (80 % power to see it):")
        for warning in warnings:
            console.note(f"  {warning}")


def _endings(results: Sequence[BenchResult]) -> list[str]:
    from ..measuring.endings import endings

    return [line for result in results for line in endings(result)]
