"""Rows of benchmark datasets as problems: see `layouts`."""

from collections.abc import Mapping

from ..layouts.answers import answer_text
from ..layouts.columns import RowColumns
from ..layouts.reading import DEFAULT


def row_id(row: Mapping[str, object]) -> str | None:
    """The id that a row states, as text; None if it states none. Raises SchemaError for one of another type."""
    return RowColumns(row, DEFAULT).identity()


def answer_of(row: Mapping[str, object], column: str) -> str:
    """The one right answer in a column, a text or a number, as text. Raises SchemaError for anything else."""
    return answer_text(row.get(column), column)
