"""What is wrong with tagged data: the tags themselves, and text that is not that of its trace."""

import hashlib
import re
from dataclasses import replace
from typing import TypeVar

from ..layouts.identity import unnumbered
from ..layouts.marked import is_foreign, is_marked, read_marked
from ..layouts.reading import DEFAULT, Reading, Refusal
from ..layouts.traces import read_traces
from ..records import markup, scaffold
from ..records.data import AnnotatedTrace, JsonObject, Record, SchemaError, SftConversation, SftExample, Trace
from ..records.lessons import why_cut, why_unanswered
from ..records.prompts import thinking
from ..store.disk_map import DiskMap
from .sft import reasoning_sha256, why_malformed

Tagged = AnnotatedTrace | SftExample | SftConversation
TAGGED: tuple[type[Tagged], ...] = (AnnotatedTrace, SftExample, SftConversation)
ORIGINAL: tuple[type[Trace | AnnotatedTrace], ...] = (Trace, AnnotatedTrace)
R = TypeVar("R", bound=Record)
_ANSWER_ALONE = re.compile(r"\\boxed\{.*\}", re.DOTALL)
"""What is written where the trace has no response, so that nobody is known to have ended the thinking."""


class Originals:
    """The reasoning that each id may have, kept as digests.

    Several traces may share an id; what was made of them then has a number behind it.
    """

    def __init__(self) -> None:
        self._seen = DiskMap()

    def add(self, trace: Trace | AnnotatedTrace) -> None:
        self._seen.add(_digest(trace.id))
        self._seen.add(_digest(trace.id, trace.reasoning))

    def why_unlike(self, record_id: str, reasoning: str) -> str | None:
        """What tells `reasoning` from that of the traces with this id, or None."""
        names = [name for name in (record_id, unnumbered(record_id)) if _digest(name) in self._seen]
        if not names:
            return f"no trace has the id '{record_id}'"
        if not any(_digest(name, reasoning) in self._seen for name in names):
            return f"the reasoning without tags is not that of the trace '{record_id}'"
        return None


def read_tagged(value: object) -> Tagged:
    """Read a JSON object as one of the kinds that hold tagged or taggable text. Raises SchemaError."""
    return _read(value, TAGGED)


def read_original(value: object) -> Trace | AnnotatedTrace:
    """Read a trace, annotated or not; a missing `kind` counts as one that is not. Raises SchemaError."""
    if isinstance(value, dict):
        value = {"kind": Trace.kind, **value}
    return _read(value, ORIGINAL)


def tagged_of(row: object, reading: Reading = DEFAULT) -> list[Tagged | Refusal]:
    """`read_tagged`, or what a row holds that is marked by tags. Raises SchemaError."""
    if is_foreign(row) and is_marked(row, reading):
        return [*read_marked(row, reading).value]
    return [read_tagged(row)]


def originals_of(row: object, reading: Reading = DEFAULT) -> list[Trace | AnnotatedTrace]:
    """`read_original`, or all traces of a row of other people's data. Raises SchemaError."""
    if not is_foreign(row) or (isinstance(row, dict) and {"id", "problem", "reasoning"} <= row.keys()):
        return [read_original(row)]
    every = replace(reading, generations="all")
    found = read_marked(row, every).value if is_marked(row, every) else read_traces(row, every).value
    return [one for one in found if not isinstance(one, Refusal)]


def why_wrong(record: Tagged, originals: Originals | None = None) -> str | None:
    """The first fault of a record, or None.

    Args:
        originals: the traces that the records were made from, if these are to be compared too.
    """
    if isinstance(record, AnnotatedTrace):
        reason, reasoning = why_malformed(record) or why_unanswered(record.answer, record.response), record.reasoning
    else:
        reason, reasoning = _why_untrainable(record)
    if reason or originals is None:
        return reason
    return originals.why_unlike(record.id, reasoning)


def _why_untrainable(record: SftExample | SftConversation) -> tuple[str | None, str]:
    """The fault of a training record, and its reasoning without tags."""
    if isinstance(record, SftExample):
        completed = record.completion
    elif record.messages and record.messages[-1].role == "assistant":
        completed = record.messages[-1].content
    else:
        return "the last message is not the assistant's", ""
    parts = thinking(completed)
    if parts is None:
        return f"the completion holds no {markup.THINK_CLOSE}", ""
    tagged, after = parts
    if tag := markup.contains_tag(after):
        return f"the tag {tag} stands after {markup.THINK_CLOSE}", ""
    try:
        reasoning, spans = markup.parse(tagged)
        markup.render(reasoning, spans)
    except markup.MarkupError as error:
        return str(error), ""
    if reason := _why_wrong_lesson(reasoning, after.strip(), record.extra):
        return reason, reasoning
    if record.reasoning_sha256 not in (None, reasoning_sha256(reasoning)):
        return "the reasoning without tags does not have the digest in 'reasoning_sha256'", reasoning
    return None, reasoning


def _why_wrong_lesson(reasoning: str, after: str, columns: JsonObject) -> str | None:
    """What a finished record teaches wrongly, or None."""
    for text, is_thinking in ((reasoning, True), (after, False)):
        if mark := scaffold.find_mark(text, thinking=is_thinking):
            return f"{mark} stands {'inside the thinking' if is_thinking else 'after the end of thinking'}"
    is_response = _ANSWER_ALONE.fullmatch(after) is None
    if reason := why_cut(reasoning, after if is_response else "", columns):
        return f"the generation was cut: {reason}"
    if not after:
        return f"nothing stands after {markup.THINK_CLOSE}"
    return why_unanswered("", after)


def _read(value: object, classes: tuple[type[R], ...]) -> R:
    kinds = {cls.kind: cls for cls in classes}
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in kinds:
        got = repr(kind) if kind else "a line without a kind"
        *most, last = kinds
        raise SchemaError(f"expected a record of kind {', '.join(most)} or {last}, got {got}")
    return kinds[kind].from_dict(value)


def _digest(*texts: str) -> bytes:
    """Of an id alone, or of one with its reasoning."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(data), data))
    return digest.digest()[:16]
