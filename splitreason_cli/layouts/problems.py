"""Rows of benchmark datasets as problems."""

from ..records.data import KINDS, Problem, SchemaError, json_object
from .columns import RowColumns
from .reading import DEFAULT, Reading, RowRead

_OWN = ("kind", "schema", "answer", "problem", "id")


def read_problem(row: object, position: int, reading: Reading = DEFAULT) -> RowRead[Problem]:
    """The problem of a row; other columns travel along. Raises SchemaError.

    Its id is that of the row, else `row-N` by its position, counted from 1.
    """
    row = json_object(row)
    if (kind := row.get("kind")) in KINDS and kind != Problem.kind:
        raise SchemaError(f"expected rows of problems, got a record of kind '{kind}'")
    columns = RowColumns(row, reading)
    chat = columns.context()
    text = columns.problem(chat)
    answer = columns.gold(chat)
    if answer is None:
        raise SchemaError(_without_answer(columns))
    name = columns.identity() or f"row-{position}"
    used = set(columns.used.values())
    others = {name: value for name, value in row.items() if name not in _OWN and name not in used}
    problem = Problem(id=name, problem=text, answer=answer, extra=columns.with_system(others))
    return RowRead(problem, columns.understood())


def problem_of(row: object, position: int, reading: Reading = DEFAULT) -> Problem:
    """`read_problem`, where nobody asks how."""
    return read_problem(row, position, reading).value


def _without_answer(columns: RowColumns) -> str:
    if column := columns.empty("answer"):
        null = columns.value(column) is None
        return f"field '{column}'" + (": expected a text or a number, got null" if null else " is empty")
    return f"no column holds the answer; {columns.held()}. Name it: --columns answer=NAME"
