"""Rows of reasoning datasets as traces."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..records.data import KINDS, SchemaError, Trace, json_object
from ..records.lessons import CUT_COLUMNS, said_cut
from ..records.scaffold import marks_thinking
from .answers import with_answer_as_text
from .chats import Chat, chat_of, is_chat
from .columns import RowColumns
from .reading import DEFAULT, TRACE_ROLES, Reading, Refusal, RowRead, Understood
from .table import ANY, MARKED_ONLY, WORKED
from .thinking import solution_of

_OF_GENERATIONS = ("correctness_count", *CUT_COLUMNS)
"""Columns that tell of all generations of a row, and nothing of one."""
LABEL = ANY.columns["correct"][0]


@dataclass(frozen=True)
class _Solution:
    """One generation as the row holds it. `thought` is thinking of a field of its own; `where` names it in errors."""

    text: object
    where: str
    thought: object = None


def traces_of(row: object, reading: Reading = DEFAULT) -> list[Trace | Refusal]:
    """`read_traces`, where nobody asks how."""
    return read_traces(row, reading).value


def read_traces(row: object, reading: Reading = DEFAULT) -> RowRead[list[Trace | Refusal]]:
    """The traces of one row, and the generations that are none: nothing at all if none of them is wanted.

    Ids are the row's own, with the number of the generation behind it where a row holds several, or a digest of the
    text. Raises SchemaError where the row has no trace.
    """
    row = json_object(row)
    kind = row.get("kind")
    if kind in KINDS and not (kind == Trace.kind and reading.columns):
        return RowRead([_record(row)], Understood(str(kind), ()))
    columns = RowColumns(row, reading)
    role, solutions = _solutions(columns)
    whole = _without_reasoning(columns, role, solutions[0])
    found = [
        _trace(columns, whole, solutions[index], index if role == "generations" else None)
        for index in _wanted(columns, role, len(solutions))
    ]
    if found and all(isinstance(one, Refusal) for one in found):
        raise SchemaError(next(one.reason for one in found if isinstance(one, Refusal)))
    if columns.layout.unmarked:
        columns.remarks.append(f"solutions are thinking, as in {columns.layout.name}")
    return RowRead(found, columns.understood(), len(solutions))


def _without_reasoning(columns: RowColumns, role: str, first: _Solution) -> Trace:
    """What all traces of a row have in common."""
    chat = columns.chat() if role == "messages" else columns.context()
    problem = columns.problem(chat)
    several = role == "generations"
    name = columns.identity() or _digest(problem, problem if several else str(first.thought or first.text))
    answer = _answer(columns, chat)
    others = _others(columns, chat, several=several)
    return Trace(id=name, problem=problem, answer=answer, reasoning="", extra=others)


def _trace(columns: RowColumns, whole: Trace, solution: _Solution, number: int | None) -> Trace | Refusal:
    try:
        if number is not None and (fault := said_cut(columns.row, number)):
            raise SchemaError(f"{solution.where} is cut: {fault}")
        reasoning, response = solution_of(
            solution.text,
            solution.thought,
            solution.where,
            unmarked=columns.layout.unmarked,
            thinking=columns.reading.thinking,
        )
    except SchemaError as error:
        return Refusal(str(error))
    trace = replace(whole, reasoning=reasoning, response=response)
    if number is None:
        return trace
    return replace(trace, id=f"{whole.id}-{number}", extra={**whole.extra, "generation": number})


def _record(row: Mapping[str, object]) -> Trace:
    """A record of ours, whose answer may be a number, and which may lack an id."""
    name = row.get("id") or row.get("uuid") or _digest(row.get("problem"), str(row.get("reasoning")))
    return Trace.from_dict({"answer": "", **with_answer_as_text(row), "id": str(name)})


def _solutions(columns: RowColumns) -> tuple[str, list[_Solution]]:
    """The role of the column that holds the row's traces, and these."""
    given = [role for role in TRACE_ROLES if columns.reading.named(role)]
    for role in given or TRACE_ROLES:
        if found := _FORMS[role](columns):
            return role, found
    if column := columns.empty("reasoning"):
        raise SchemaError(f"field '{column}' holds no thinking, and no other column does")
    raise SchemaError(
        f"no column holds a trace; {columns.held()}. Name it: --columns reasoning=NAME, or completion=NAME"
    )


def _from_generations(columns: RowColumns) -> list[_Solution]:
    lists = [one for one in columns.present("generations") if isinstance(columns.value(one), list)]
    several = columns.reading.named("generations") or columns.layout.columns.get("generations", ())
    found = [one for one in columns.present("generations") if one in several] if several else lists[:1]
    if not found or (columns.layout.name == "any" and not several and is_chat(columns.value(found[0]))):
        return []
    columns.used["generations"] = "+".join(found)
    solutions = []
    for column in found:
        value = columns.value(column)
        texts = value if isinstance(value, list) and not is_chat(value) else [value]
        where = (f"{column}[{index}]" if len(texts) > 1 else f"field '{column}'" for index in range(len(texts)))
        solutions += [_solution(text, place) for text, place in zip(texts, where, strict=True)]
    return solutions


def _from_reasoning(columns: RowColumns) -> list[_Solution]:
    present = columns.present("reasoning")
    if not present:
        return []
    column = columns.one("reasoning", present)
    thoughts: object = _one(columns, column)
    responses: object = ""
    if response := columns.find("response"):
        responses = _one(columns, response)
    elif (chat := columns.context()) and chat.assistant:
        responses = chat.assistant.text
    if isinstance(thoughts, str) and not responses and marks_thinking(thoughts):
        return [_Solution(thoughts, f"field '{column}'")]
    return [_Solution(responses, f"field '{response or column}'", thoughts)]


def _from_messages(columns: RowColumns) -> list[_Solution]:
    chat = columns.chat()
    if chat is None or chat.assistant is None:
        return []
    column = columns.find("messages")
    return [_Solution(chat.assistant.text, f"the assistant's turn in '{column}'", chat.assistant.thinking)]


def _from_completion(columns: RowColumns) -> list[_Solution]:
    present = columns.present("completion")
    if not columns.reading.named("completion"):
        marked = [one for one in present if marks_thinking(columns.value(one)) or is_chat(columns.value(one))]
        present = marked or _marked_by_any_name(columns) or [one for one in present if one not in MARKED_ONLY]
    if not present:
        return []
    column = columns.one("completion", present)
    value = columns.value(column)
    return [_solution(value if is_chat(value) else _one(columns, column), f"field '{column}'")]


def _marked_by_any_name(columns: RowColumns) -> list[str]:
    """Columns of any name in which marks show a model's thinking."""
    asked = columns.layout.candidates("problem")
    return [name for name, value in columns.row.items() if name not in asked and marks_thinking(value)]


_FORMS: Mapping[str, Callable[[RowColumns], list[_Solution]]] = {
    "generations": _from_generations,
    "reasoning": _from_reasoning,
    "completion": _from_completion,
    "messages": _from_messages,
}


def _solution(value: object, where: str) -> _Solution:
    if is_chat(value):
        turns = chat_of([{"role": "user", "content": "?"}, *value], where) if isinstance(value, list) else None
        if turns and turns.assistant:
            return _Solution(turns.assistant.text, where, turns.assistant.thinking)
    return _Solution(value, where)


def _one(columns: RowColumns, column: str) -> object:
    value = columns.value(column)
    if isinstance(value, list) and len(value) != 1:
        raise SchemaError(
            f"field '{column}' holds {len(value)} texts where one is read; --columns generations={column}"
        )
    return value[0] if isinstance(value, list) else value


def _wanted(columns: RowColumns, role: str, count: int) -> list[int]:
    """The numbers of the generations that are wanted."""
    which, layout = columns.reading.generations, columns.layout
    if which != "correct" or (role == "generations" and layout.verified):
        return list(range(1 if which == "first" else count))
    present = columns.present("correct")
    if role != "generations":
        says = columns.reading.named("correct") or layout.columns.get("correct")
        if not says or not present:
            return [0]
        columns.used["correct"] = "+".join(present)
        return [0] if any(_is_true(columns.value(column)) for column in present) else []
    labels = {column: label for column in present if isinstance(label := columns.value(column), list)}
    columns.used["correct"] = "+".join(labels)
    if not labels or any(len(label) != count for label in labels.values()):
        raise SchemaError(
            f"no correctness label for each generation ({LABEL}); name it, --columns correct=NAME, "
            "or use --generations all"
        )
    return [index for index in range(count) if any(_is_true(label[index]) for label in labels.values())]


def _is_true(label: object) -> bool:
    return label.strip().lower() in ("yes", "true", "correct", "1") if isinstance(label, str) else bool(label)


def _answer(columns: RowColumns, chat: Chat | None) -> str:
    """The gold answer, empty where nothing says it."""
    return columns.gold(chat) or ""


def _others(columns: RowColumns, chat: Chat | None, *, several: bool) -> dict[str, object]:
    """The columns that travel along: those of which a trace holds nothing."""
    gone = {name for used in columns.used.values() for name in used.split("+")} - set(WORKED)
    gone |= {"kind", "schema", "id", "problem", "answer", *columns.layout.candidates("annotated")}
    if several:
        gone |= {*_OF_GENERATIONS, *columns.present("correct")}
    if several or chat:
        gone |= set(columns.layout.candidates("messages"))
    others = {name: value for name, value in columns.row.items() if name not in gone}
    return columns.with_system(others)


def _digest(problem: object, text: str) -> str:
    return hashlib.sha256(f"{problem}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
