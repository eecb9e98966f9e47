"""Rows of benchmark datasets as problems."""

import math
from collections.abc import Mapping

from ..records.data import KINDS, Problem, SchemaError, json_object

ID_COLUMNS = ("id", "unique_id", "problem_idx", "uuid")
"""What datasets call a problem's id, most telling first."""


def problem_of(row: object, position: int) -> Problem:
    """The problem of a row with `problem` and `answer`; other columns travel along.

    Its id is that of the row, else `row-N` by its position, counted from 1. Raises SchemaError.
    """
    row = json_object(row)
    if (kind := row.get("kind")) in KINDS and kind != Problem.kind:
        raise SchemaError(f"expected rows of problems, got a record of kind '{kind}'")
    own = {
        "id": row_id(row) or f"row-{position}",
        "problem": text_of(row, "problem"),
        "answer": answer_of(row, "answer"),
    }
    others = {name: value for name, value in row.items() if name not in ("kind", "schema", "answer", "problem", "id")}
    return Problem(**own, extra=others)


def row_id(row: Mapping[str, object]) -> str | None:
    """The id that a row states, as text; None if it states none. Raises SchemaError for one of another type."""
    for column in ID_COLUMNS:
        value = row.get(column)
        if value is None or value == "":
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise SchemaError(f"field '{column}': an id is a text or an integer, got {type(value).__name__}")
        return str(value)
    return None


def text_of(row: Mapping[str, object], column: str) -> str:
    """The text in a column. Raises SchemaError if it is missing, empty or of another type."""
    value = _present(row, column)
    if not isinstance(value, str):
        raise SchemaError(f"field '{column}': expected a text, got {_called(value)}")
    if not value.strip():
        raise SchemaError(f"field '{column}' is empty")
    return value


def answer_of(row: Mapping[str, object], column: str) -> str:
    """The one right answer in a column, a text or a number, as text. Raises SchemaError for anything else."""
    value = _present(row, column)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return str(value)
    if not isinstance(value, str):
        raise SchemaError(
            f"field '{column}': expected a text or a number, got {_called(value)}; give the one right answer"
        )
    return text_of(row, column)


def _present(row: Mapping[str, object], column: str) -> object:
    if column not in row:
        raise SchemaError(f"field '{column}' is missing; the row has {', '.join(map(str, row)) or 'no fields'}")
    return row[column]


def _called(value: object) -> str:
    return "null" if value is None else type(value).__name__
