"""The columns of one row by their roles: what the user says goes before the table."""

from collections.abc import Mapping, Sequence

from ..records.data import SchemaError
from ..records.scaffold import marks_thinking
from .answers import answer_text, one_word, worked_answer
from .chats import Chat, chat_of, is_chat
from .reading import DEFAULT, ROLES, Reading, Understood
from .table import NOTHING, RECORD, REST_OF_PROBLEM, SWITCHES, TOGETHER, WORKED, RowLayout, layout_for


class RowColumns:
    """A row with its layout. Looking for a role notes the column that holds it.

    Attributes:
        used: the columns that were found, by role.
        remarks: what a person should know of the row.
        system: the system turn of its chat.
    """

    def __init__(self, row: Mapping[str, object], reading: Reading) -> None:
        self.row, self.reading = row, reading
        self.layout: RowLayout = layout_for(row)
        self.used: dict[str, str] = {}
        self.remarks: list[str] = []
        self.system = ""
        self._chat_column = ""

    def understood(self) -> Understood:
        """What was found, for people."""
        found = sorted(self.used.items(), key=lambda pair: ROLES.index(pair[0]))
        return Understood(self.layout.name, tuple(found), tuple(dict.fromkeys(self.remarks)))

    def value(self, column: str) -> object:
        """What a column holds, None if the row lacks it; `outer.inner` is a field of an object."""
        return value_in(self.row, column)

    def named(self, role: str) -> tuple[str, ...]:
        """The columns that the user gives for a role. Raises SchemaError if the row lacks one."""
        for column in (columns := self.reading.named(role)):
            if column not in self.row and self.value(column) is None:
                raise SchemaError(f"column '{column}' of --columns {role}={column} is missing; {self.held()}")
        return columns

    def present(self, role: str) -> list[str]:
        """The candidates for a role that hold something, best first."""
        columns = self.named(role) or self.layout.candidates(role)
        return [column for column in columns if self._is_held(role, self.value(column))]

    def find(self, role: str) -> str | None:
        """The column of a role; None if there is none, or none that holds anything."""
        column = next(iter(self.present(role)), None)
        if column is not None:
            self.used[role] = column
        return column

    def one(self, role: str, columns: Sequence[str]) -> str:
        """The column of a role among these that hold something. Raises SchemaError where two hold different things."""
        for other in columns[1:]:
            if not self.named(role) and self.value(other) != self.value(columns[0]):
                which = f"'{columns[0]}' and '{other}' may both hold the {role}"
                raise SchemaError(f"{which}, and differ. Name one: --columns {role}={columns[0]}")
        self.used[role] = columns[0]
        return columns[0]

    def empty(self, role: str) -> str | None:
        """A column of this role that holds nothing; None if there is none."""
        columns = self.named(role) or self.layout.candidates(role)
        return next((column for column in columns if column in self.row), None)

    def held(self) -> str:
        """The names of the row's columns, for errors."""
        return f"the row has {', '.join(map(str, self.row)) or 'no columns'}"

    def chat(self, role: str = "messages") -> Chat | None:
        """The chat of the row, if it has one. Raises SchemaError for one that cannot be read."""
        column = next((one for one in self.present(role) if is_chat(self.value(one))), None)
        if column is None:
            return None
        self._chat_column = column
        return self._noted(chat_of(self.value(column), column))

    def context(self) -> Chat | None:
        """The chat that holds the problem of a row where no column does, and another one holds the solution.

        Raises SchemaError where a turn follows the solution, which then is not that of the column.
        """
        if self.present("problem"):
            return None
        chat = self.chat()
        if chat and chat.trailing:
            raise SchemaError("the chat goes on after a solution, and another column holds the trace")
        return chat

    def problem(self, chat: Chat | None = None) -> str:
        """The problem's text: of the column `problem`, of the chat, or of another column. Raises SchemaError."""
        given = self.named("problem") or tuple(one for one in ("problem",) if one in self.present("problem"))
        if not given and chat is not None:
            self.used["problem"] = f"{self._chat_column} (user)"
            return chat.user.text
        column = given[0] if given else self.find("problem")
        if column is None:
            raise SchemaError(self._missing("problem"))
        self.used["problem"] = column
        if not self.reading.named("problem") and self.layout is not RECORD:
            self._require_whole(column)
        value = self.value(column)
        if is_chat(value):
            return self._noted(chat_of(value, column, asks=True)).user.text
        if not isinstance(value, str):
            raise SchemaError(f"field '{column}': expected a text, got {_called(value)}")
        if not value.strip():
            raise SchemaError(f"field '{column}' is empty")
        return value

    def gold(self, chat: Chat | None = None) -> str | None:
        """The right answer as text, also one that the chat states; None if there is none. Raises SchemaError.

        What a model has written about the problem is not its gold answer.
        """
        taken = {column for role, column in self.used.items() if role != "answer"}
        columns = [*self.present("answer"), *(column for column in WORKED if not self.reading.named("answer"))]
        for column in columns:
            value = self.value(column)
            if (column in taken and (column not in WORKED or marks_thinking(value))) or (
                isinstance(value, str) and not value.strip()
            ):
                continue
            if column in WORKED and not self.reading.named("answer"):
                answer = worked_answer(value) if isinstance(value, str) else None
                if answer is None and isinstance(value, str) and column in self.layout.columns.get("answer", ()):
                    answer = one_word(value)
            else:
                answer = answer_text(value, column)
            if answer is not None:
                self.used["answer"] = column
                return answer
        stated = chat.user.gold or (chat.assistant and chat.assistant.gold) if chat else None
        if not stated:
            return None
        self.used["answer"] = f"{self._chat_column} (info)"
        return answer_text(stated, f"{self._chat_column} (info)")

    def identity(self) -> str | None:
        """The id that the row states, as text; None if it states none. Raises SchemaError for one of another type."""
        for column in self.present("id"):
            return _identity(self.value(column), column)
        return None

    def with_system(self, others: dict[str, object]) -> dict[str, object]:
        """The columns that travel along, and the system turn."""
        if self.system and others.setdefault("system", self.system) != self.system:
            others["system_turn"] = self.system
        return others

    def _missing(self, role: str) -> str:
        if column := self.empty(role):
            value = self.value(column)
            if isinstance(value, str) and value.strip():
                return f"field '{column}' holds {value.strip()!r}, which is no {role}"
            return f"field '{column}'" + (" is empty" if isinstance(value, str) else ": expected a text, got null")
        return f"no column holds the {role}; {self.held()}. Name it: --columns {role}=NAME"

    def _require_whole(self, column: str) -> None:
        for rest in (*REST_OF_PROBLEM, *(TOGETHER if column in TOGETHER else ())):
            if rest != column and self.row.get(rest):
                what = f"field '{rest}' is part of the question, and '{column}' alone is not the whole"
                raise SchemaError(f"{what}; write it into one column, or take that alone: --columns problem={column}")

    def _noted(self, chat: Chat) -> Chat:
        self.system = chat.system
        if chat.system:
            self.remarks.append("the system turn is kept in field 'system', not in the problem")
        if chat.trailing:
            self.remarks.append("a user's turn after the solution is left out")
        return chat

    @staticmethod
    def _is_held(role: str, value: object) -> bool:
        if isinstance(value, str):
            is_nothing = value.strip().lower() in NOTHING and role != "answer"
            return bool(value.strip()) and not is_nothing and not (role == "reasoning" and value in SWITCHES)
        # Where thinking is a question of yes or no, it is no text.
        return value is not None and value != [] and not (role == "reasoning" and isinstance(value, bool))


def value_in(row: Mapping[str, object], column: str) -> object:
    """What a column holds, None if the row lacks it; `outer.inner` is a field of an object."""
    if column in row or "." not in column:
        return row.get(column)
    value: object = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def row_id(row: Mapping[str, object]) -> str | None:
    """The id that a row states, as text; None if it states none. Raises SchemaError for one of another type."""
    return RowColumns(row, DEFAULT).identity()


def _identity(value: object, column: str) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise SchemaError(f"field '{column}': an id is a text or an integer, got {type(value).__name__}")
    return str(value)


def _called(value: object) -> str:
    return "null" if value is None else type(value).__name__
