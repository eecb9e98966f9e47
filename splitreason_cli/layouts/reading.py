"""What a user says of the rows to read, and what a reader has understood of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from ..errors import InputError
from ..records.data import SchemaError
from ..records.markup import PUBLISHED, SpanTags

Generations = Literal["first", "correct", "all"]

ROLES = (
    "problem",
    "answer",
    "reasoning",
    "response",
    "completion",
    "generations",
    "annotated",
    "messages",
    "correct",
    "id",
)
"""What a column can hold. `reasoning` is thinking alone, `completion` thinking and response in one text, `generations`
several completions, `annotated` the same ones with tags around their spans,
`messages` a chat, `correct` whether a generation is right."""

TRACE_ROLES = ("generations", "reasoning", "messages", "completion")
"""Those that a trace can be made of, most telling first."""

FIRST_ROWS = 100

T = TypeVar("T")


@dataclass(frozen=True)
class Reading:
    """How rows are read.

    Args:
        columns: pairs of a role and the column that holds it; the others are found by the table of layouts.
        generations: which generations of a row become traces.
        thinking: whether a trace must hold thinking; else a solution without any is taken as the trace.
        tags: what opens and closes a span in a text that is marked already.
    """

    columns: tuple[tuple[str, str], ...] = ()
    generations: Generations = "correct"
    thinking: bool = True
    tags: SpanTags = PUBLISHED

    def named(self, role: str) -> tuple[str, ...]:
        """The columns that the user gives for a role."""
        return tuple(column for name, column in self.columns if name == role)


DEFAULT = Reading()
"""Nothing said."""


@dataclass(frozen=True)
class Understood:
    """Which columns were taken for what, the layout's name, and what else a person should know."""

    layout: str
    columns: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...] = ()

    def line(self, generations: int) -> str:
        """For people, such as `problem <- question, reasoning <- cot, 3 generations a row`."""
        parts = [f"{role} <- {column}" for role, column in self.columns]
        parts += [f"{generations} generations a row"] if generations > 1 else []
        return ", ".join(parts) + "".join(f"; {remark}" for remark in self.remarks)


@dataclass(frozen=True)
class RowRead(Generic[T]):
    """What a row became, how it was understood, and how many generations it holds."""

    value: T
    understood: Understood
    generations: int = 1


class FirstLook:
    """Says what was understood of a file's rows, and stops at a file of which nothing is.

    Args:
        label: what to call the file.
        what: what a row should give, such as `trace`.
        on_note: told one line about each way in which rows were understood.
    """

    def __init__(self, label: str, what: str, on_note: Callable[[str], None]) -> None:
        self._label, self._what, self._on_note = label, what, on_note
        self._seen: set[Understood] = set()
        self._columns: dict[str, None] = {}
        self._rows = 0
        self._reason = ""

    def over(self, read: Callable[[object], RowRead[T]]) -> Callable[[object], T]:
        """`read`, watched. Raises InputError at the last of the first 100 rows, if none of them gave anything."""

        def watched(row: object) -> T:
            self._rows += 1
            try:
                found = read(row)
            except SchemaError as error:
                self._reason = self._reason or str(error)
                self._columns |= dict.fromkeys(map(str, row)) if isinstance(row, dict) else {}
                if self._rows == FIRST_ROWS:
                    self.finish()
                raise
            is_new = found.understood not in self._seen
            self._seen.add(found.understood)
            if is_new and found.understood.columns:
                self._on_note(f"{self._label}: {found.understood.line(found.generations)}")
            return found.value

        return watched

    def finish(self) -> None:
        """Raises InputError, naming the columns, if there were rows and none gave anything."""
        if not self._rows or self._seen:
            return
        rows = f"none of its first {self._rows:,} rows" if self._rows > 1 else "its row does not"
        verb = "gives" if self._rows > 1 else "give"
        columns = ", ".join(self._columns) or "none"
        raise InputError(
            f"{self._label}: {rows} {verb} a {self._what} ({self._reason})",
            f"Its columns: {columns}. Say which holds what, such as --columns problem=question,answer=final_answer",
        )


@dataclass(frozen=True)
class Refusal:
    """One generation of a row that is not taken, while others of the row may be."""

    reason: str
