"""Rows whose columns have names of many kinds, and replies of batches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..layouts.answers import worked_answer
from ..layouts.chats import THINKING, is_chat
from ..layouts.columns import row_id, value_in
from ..layouts.table import WORKED
from ..records.data import SchemaError
from .log_cells import (
    asked_in,
    completions_in,
    finish_of,
    last_turn,
    thought_through,
    usage_of,
    without_prompt,
)
from .log_columns import CHATS, COMPLETIONS, ECHOED, GOLDS, IDS, LABELS, QUESTIONS, SIGNED, SYSTEMS
from .log_labels import label_in, labels_of
from .log_samples import Completion, Layout, LoggedSamples


def holds_completions(row: Mapping[str, object]) -> bool:
    """Whether a column has a name of completions, or a chat."""
    return bool(_chat(row) or _signed(row)) or any(_named(row, rank) for rank in COMPLETIONS)


def from_batch(row: Mapping[str, object]) -> LoggedSamples:
    """The problem is known by `custom_id` alone, unless other columns were put beside it. Raises SchemaError."""
    body = _first_object(_first_object(row, "response", "result"), "body", "message")
    is_reply = any(name in body for name in ("choices", "output", "content"))
    completions = completions_in(body, "response.body") if is_reply else [Completion(None)]
    described = _described(row, "batch", completions)
    return replace(described, system=described.system or _name(body.get("model")))


def _first_object(row: Mapping[str, object], *names: str) -> Mapping[str, object]:
    return next((value for name in names if isinstance(value := row.get(name), dict)), {})


def from_plain(row: Mapping[str, object]) -> LoggedSamples:
    """Raises SchemaError for what holds no completion, or two that differ."""
    column, completions = _completions(row)
    completions = [replace(one, text=without_prompt(one.text, *map(row.get, ECHOED))) for one in completions]
    if len(completions) == 1:
        completions = [_alone(row, completions[0])]
    else:
        completions = [
            replace(one, finish_reason=one.finish_reason or finish_of(row, at)) for at, one in enumerate(completions)
        ]
    described = _described(row, "plain", completions)
    if described.system is None and isinstance(reply := row.get(column), dict):
        described = replace(described, system=_name(reply.get("model")))
    others = [name for rank in COMPLETIONS for name in _named(row, rank) if name != column and row[name] is not None]
    return replace(described, columns={"completion": ", not ".join([column, *others]), **described.columns})


def _alone(row: Mapping[str, object], one: Completion) -> Completion:
    """The only completion of a row, with what the row's other columns say of it."""
    thought = next((row[name] for name in THINKING if isinstance(row.get(name), str)), None)
    tokens, big_tokens = usage_of(row)
    return replace(
        one,
        text=thought_through(one.text, thought),
        finish_reason=one.finish_reason or finish_of(row, 0),
        tokens=tokens if one.tokens is None else one.tokens,
        big_tokens=big_tokens if one.big_tokens is None else one.big_tokens,
    )


def _completions(row: Mapping[str, object]) -> tuple[str, list[Completion]]:
    """The column of the completions, and what it holds."""
    if column := _signed(row):
        return column, completions_in(dict(row) if column == "text" else row[column], column)
    for rank in COMPLETIONS:
        if names := [name for name in _named(row, rank) if row[name] is not None]:
            return _the_one(row, names)
    if name := _chat(row):
        return name, [last_turn(row[name], name)]
    return next(name for rank in COMPLETIONS for name in _named(row, rank)), [Completion(None)]


def _the_one(row: Mapping[str, object], names: Sequence[str]) -> tuple[str, list[Completion]]:
    found, faults = dict[str, list[Completion]](), list[SchemaError]()
    for name in names:
        try:
            cell = {"choices": row[name], "usage": row.get("usage")} if name == "choices" else row[name]
            found[name] = completions_in(cell, name)
            if not found[name]:
                raise SchemaError(f"field '{name}' holds no completion")
        except SchemaError as fault:
            faults.append(fault)
    if not found or len(names) == len(faults):
        raise faults[0]
    good = [name for name in names if found.get(name)]
    texts = {name: [one.text for one in found[name]] for name in good}
    if other := next((name for name in good if texts[name] != texts[good[0]]), None):
        raise SchemaError(f"fields '{good[0]}' and '{other}' hold different completions; leave out one of them")
    return good[0], found[good[0]]


def _named(row: Mapping[str, object], names: Sequence[str]) -> list[str]:
    """Which of these a row has; choices of a question with several are none of a server."""
    return [name for name in names if name in row and (name != "choices" or _holds_objects(row[name]))]


def _holds_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _signed(row: Mapping[str, object]) -> str | None:
    return next((name for name, others in SIGNED if name in row and all(other in row for other in others)), None)


def _chat(row: Mapping[str, object]) -> str | None:
    """The column of a chat."""
    return next((name for name in CHATS if is_chat(row.get(name))), None)


def _described(row: Mapping[str, object], layout: Layout, completions: Sequence[Completion]) -> LoggedSamples:
    """Completions with what columns of many names say of their problem, their label and who made them."""
    asked, question = question_in(row)
    gold = _gold(row)
    label = label_in(row, [name for name in LABELS if gold is None or name != gold[0]])
    labels = labels_of(label[1] if label else None, len(completions))
    whose = next((name for name in SYSTEMS if _system(name, row)), "")
    columns = {"problem": asked, "answer": gold[0] if gold else "", "system": whose}
    columns |= {"label": label[0] if label and labels[0] is not None else ""}
    others = [str(row[name]) for name in IDS if isinstance(row.get(name), str | int)]
    return LoggedSamples(
        layout,
        tuple(replace(one, label=label) for one, label in zip(completions, labels, strict=True)),
        (_own_id(row) if layout == "plain" else None) or next(iter(others), None),
        question,
        gold,
        system=_system(whose, row),
        columns={what: name for what, name in columns.items() if name},
    )


def question_in(row: Mapping[str, object]) -> tuple[str, str | None]:
    """The column of the problem, and the problem; empty and None without any."""
    for name in (*QUESTIONS, *CHATS):
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return name, value
        if is_chat(value) and (asked := asked_in(value, name)):
            return name, asked
    return "", None


def _gold(row: Mapping[str, object]) -> tuple[str, object] | None:
    """The gold answer behind its column's name; one without a value only where no other has any."""
    held = {name: value_in(row, name) for name in GOLDS if name.partition(".")[0] in row}
    names = [name for name, value in held.items() if _may_be_gold(name, value)]
    filled = [name for name in names if held[name] not in (None, "", [])]
    return next(((name, held[name]) for name in (*filled, *names)), None)


def _may_be_gold(name: str, value: object) -> bool:
    if name in WORKED:
        return isinstance(value, str) and worked_answer(value) is not None
    return not (name in LABELS and isinstance(value, bool | list | None))


def _system(name: str, row: Mapping[str, object]) -> str | None:
    """The name in a column; what stands in `system` is a prompt if it has several words."""
    found = _name(row.get(name))
    return None if name == "system" and found and len(found.split()) > 1 else found


def _name(value: object) -> str | None:
    is_name = isinstance(value, str) and value.strip() and len(value) <= 200 and "\n" not in value
    return " ".join(str(value).split()) if is_name else None


def _own_id(row: Mapping[str, object]) -> str | None:
    """The row's id, unless that is the reply's."""
    found = row_id(row)
    return None if found and "choices" in row and found.startswith(("chatcmpl", "cmpl")) else found
