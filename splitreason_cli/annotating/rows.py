"""Rows of reasoning datasets as traces.

Three layouts are known, each by a column of its own: `reasoning` (ours), `generations` (OpenR1-Math-220k: several
completions of a problem, each with a correctness label) and `messages` (one chat). Other columns travel along.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from ..records import markup, scaffold
from ..records.data import SchemaError, Trace, json_object

Generations = Literal["first", "correct", "all"]

_LABELS = ("correctness_math_verify", "correctness_llama")
_EXPANDED = {
    "kind", "schema", "id", "problem", "answer", "generations", "messages", "correctness_count", "finish_reasons",
    "is_reasoning_complete", *_LABELS,
}  # fmt: skip


def traces_of(row: object, generations: Generations = "correct") -> list[Trace]:
    """The traces of one row: none if no generation is wanted, one or more otherwise. Raises SchemaError.

    A generation is correct if one of its labels says so. Ids are the row's `id` or `uuid`, with the number of the
    generation behind it where a row can hold several, or a digest of the text.
    """
    row = json_object(row)
    texts, messages = row.get("generations"), row.get("messages")
    if isinstance(texts, list):
        return _from_generations(row, texts, generations)
    if isinstance(messages, list) and "reasoning" not in row:
        return [_from_messages(row, messages)]
    if "reasoning" not in row and row.get("kind", Trace.kind) == Trace.kind:
        raise SchemaError("fields 'reasoning', 'generations' and 'messages' are all missing; one must hold the trace")
    return [Trace.from_dict({"answer": "", **row, "id": _identity(row, str(row.get("reasoning")))})]


def _from_generations(row: Mapping[str, object], texts: Sequence[object], wanted: Generations) -> list[Trace]:
    chosen = list(range(len(texts)))
    if wanted == "first":
        chosen = chosen[:1]
    elif wanted == "correct":
        labels = [label for name in _LABELS if isinstance(label := row.get(name), list)]
        if not labels or any(len(label) != len(texts) for label in labels):
            raise SchemaError(f"no correctness label for each generation ({_LABELS[0]}); use --generations all")
        chosen = [index for index in chosen if any(label[index] for label in labels)]
    name = _identity(row, str(row.get("problem")))
    return [
        _trace(row, f"{name}-{index}", texts[index], {"generation": index, **_why_ended(row, index)})
        for index in chosen
    ]


def _why_ended(row: Mapping[str, object], index: int) -> dict[str, object]:
    """What the row says of a generation that was cut."""
    told = {"is_reasoning_complete": row.get("is_reasoning_complete"), "finish_reason": row.get("finish_reasons")}
    own = {name: value[index] for name, value in told.items() if isinstance(value, list) and index < len(value)}
    return own if scaffold.why_cut("", "", own) else {}


def _from_messages(row: Mapping[str, object], messages: Sequence[object]) -> Trace:
    turns = {turn.get("role"): turn.get("content") for turn in messages if isinstance(turn, dict)}
    text = turns.get("assistant")
    if not isinstance(text, str):
        raise SchemaError("field 'messages' holds no text of the assistant")
    return _trace({"problem": turns.get("user"), **row}, _identity(row, text), text, {})


def _trace(row: Mapping[str, object], name: str, text: object, extra: Mapping[str, object]) -> Trace:
    if not isinstance(text, str):
        raise SchemaError(f"a generation is a text, got {type(text).__name__}")
    reasoning, response = markup.split_thinking(text)
    if scaffold.is_unclosed(text):
        extra = {**extra, "is_reasoning_complete": False}
    own = {"id": name, "problem": row.get("problem"), "answer": row.get("answer") or ""}
    others = {key: value for key, value in row.items() if key not in _EXPANDED}
    return Trace.from_dict({**others, **extra, **own, "reasoning": reasoning, "response": response})


def _identity(row: Mapping[str, object], text: str) -> str:
    for column in ("id", "uuid"):
        if value := row.get(column):
            return str(value)
    return hashlib.sha256(f"{row.get('problem')}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
