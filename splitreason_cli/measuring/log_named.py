"""Rows of logs whose columns the user names."""

from ..layouts.chats import THINKING
from ..layouts.columns import RowColumns
from ..layouts.reading import Reading
from .log_columns import CHATS, COMPLETIONS, GOLDS, LABELS

_TEXTS = (*(name for rank in COMPLETIONS for name in rank), *CHATS)
_OURS = {
    "problem": ("problem", ("problem",)),
    "answer": ("answer", GOLDS),
    "completion": ("completion", _TEXTS),
    "response": ("completion", _TEXTS),
    "generations": ("completions", _TEXTS),
    "messages": ("messages", _TEXTS),
    "reasoning": ("reasoning", THINKING),
    "correct": ("correct", LABELS),
    "id": ("id", ("id",)),
}
"""For each role the name by which a plain log has it, and the names that would rival it."""


def renamed(row: object, columns: tuple[tuple[str, str], ...]) -> object:
    """A row with the columns that the user names under those that logs have. Raises SchemaError if it lacks one."""
    if not columns or not isinstance(row, dict):
        return row
    found = RowColumns(row, Reading(columns))
    values = {role: found.value(column) for role, _ in columns for column in found.named(role) if role in _OURS}
    rivals = {name for role in values for name in _OURS[role][1]} | {column for _, column in columns}
    others = {name: value for name, value in row.items() if name not in rivals}
    return {**others, **{_OURS[role][0]: value for role, value in values.items()}}
