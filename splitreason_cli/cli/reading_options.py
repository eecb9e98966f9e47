"""How rows of other people's data are read."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from ..layouts.reading import Reading
from ..records.markup import PUBLISHED
from . import values

Columns = Annotated[
    list[str] | None,
    typer.Option(
        help="Which column holds what, where that is not found: problem=question,answer=gold (of the log with --from)."
    ),
]


@dataclass(frozen=True)
class ReadingFlags:
    """Which columns and generations of a row become traces."""

    columns: Columns = None
    generations: Annotated[
        Literal["first", "correct", "all"], typer.Option(help="Which generations of a row with several to take.")
    ] = "correct"
    thinking: Annotated[
        bool,
        typer.Option("--thinking/--no-thinking", help="Refuse solutions without thinking, or take them as traces."),
    ] = True

    tags: Annotated[
        str, typer.Option(help="What opens and what closes a span in texts that are tagged already: '<hard>,</hard>'.")
    ] = str(PUBLISHED)

    def reading(self) -> Reading:
        """How rows are read. Raises UsageError."""
        return Reading(values.columns(self.columns), self.generations, self.thinking, values.tags(self.tags))
