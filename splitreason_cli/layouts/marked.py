"""Rows whose spans are marked already, as annotated traces: the paper's published rows, and other tagged texts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..records.data import (
    KINDS,
    AnnotatedTrace,
    HardSpan,
    JsonObject,
    Record,
    SchemaError,
    Trace,
    Unplaced,
    annotated,
    json_object,
    read_any,
)
from ..records.markup import MarkupError, Span, SpanTags
from ..records.scaffold import split_thinking
from ..records.tagged import MarkedThinking, in_thinking, untag
from .answers import with_answer_as_text
from .chats import in_messages, is_asked
from .columns import RowColumns
from .reading import DEFAULT, TRACE_ROLES, Reading, Refusal, RowRead, Understood
from .table import ANY
from .traces import read_traces

ANNOTATOR = "given"
"""Who marked the spans of a tagged text."""

_UNTAGGED = "generations without a tag are left out"
_OUTSIDE = "what is marked in the response is left out of the spans"
_ASKED = ANY.columns["problem"]
"""Columns of what the model was asked, which may speak of the tags."""

EVERYTHING = Reading(generations="all")
"""For who looks at data: also the wrong generations."""

Marked = tuple[str, list[Span]]
"""A plain text and its spans."""


def is_foreign(row: object) -> bool:
    """Whether a row is no record of ours, by its kind."""
    return not isinstance(row, dict) or row.get("kind") not in KINDS


def is_marked(row: object, reading: Reading = DEFAULT) -> bool:
    """Whether a row holds spans of its own: tagged generations beside plain ones, or tags in a text of the model."""
    if not isinstance(row, dict):
        return False
    if any(reading.named(role) for role in TRACE_ROLES):
        columns = {name for role in TRACE_ROLES for name in reading.named(role)}
        row = {name: value for name, value in row.items() if name in columns}
    elif any(row.get(name) for name in reading.named("annotated") or ANY.columns["annotated"]):
        return True
    return any(reading.tags.is_in(text) for text in _texts(row))


def read_marked(row: object, reading: Reading = DEFAULT) -> RowRead[list[AnnotatedTrace | Refusal]]:
    """The annotated traces of a row, and why others of its generations are none. Ids are as in `read_traces`.

    A record of kind annotated_trace is what it is. Raises SchemaError where the row has no trace.
    """
    row = json_object(row)
    if row.get("kind") == AnnotatedTrace.kind and not reading.columns:
        return RowRead([AnnotatedTrace.from_dict(with_answer_as_text(row))], Understood(AnnotatedTrace.kind, ()))
    columns = RowColumns(row, reading)
    given = [role for role in TRACE_ROLES if reading.named(role)]
    annotated = None if given else columns.find("annotated")
    return _read_tagged(row, reading) if annotated is None else _read_beside(columns, annotated)


def read_annotated(row: object, reading: Reading = DEFAULT) -> RowRead[list[AnnotatedTrace | Refusal]]:
    """An annotated trace, with or without its kind, or the traces of a row that is marked. Raises SchemaError."""
    row = json_object(row)
    if is_foreign(row) and is_marked(row, reading):
        return read_marked(row, reading)
    if "kind" not in row and "spans" not in row:
        raise SchemaError("the row holds neither spans nor tags. Annotate it first: srx annotate")
    return RowRead([AnnotatedTrace.from_dict(with_answer_as_text(row))], Understood(AnnotatedTrace.kind, ()))


def records_of(row: object, reading: Reading = EVERYTHING) -> list[Record]:
    """A record of any kind, or all traces of a row of other people's data, annotated where the row is marked.

    Of several traces those that cannot be read are left out. Raises SchemaError for what is neither, and for a row of
    which no trace can be read.
    """
    if not isinstance(row, dict) or "kind" in row:
        return [read_any(row)]
    found = read_marked(row, reading).value if is_marked(row, reading) else read_traces(row, reading).value
    readable = [one for one in found if not isinstance(one, Refusal)]
    for one in found if not readable else ():
        if isinstance(one, Refusal):
            raise SchemaError(one.reason)
    return list(readable)


def _read_beside(columns: RowColumns, annotated: str) -> RowRead[list[AnnotatedTrace | Refusal]]:
    """Rows that hold tagged generations beside the plain ones, which tell what the tags were added to."""
    tagged = _texts_of(columns, annotated)
    plain = next((one for one in columns.present("generations") if isinstance(columns.value(one), list)), None)
    tags, row = columns.reading.tags, {name: value for name, value in columns.row.items() if name != annotated}
    found: list[Marked | MarkupError | None]
    if plain is None:
        found = [_caught(text, tags, None, f"{annotated}[{index}]") for index, text in enumerate(tagged)]
        texts = [one[0] if isinstance(one, tuple) else text for one, text in zip(found, tagged, strict=True)]
        row["generations"] = texts
    else:
        originals = _texts_of(columns, plain)
        found = [_beside(tagged, index, originals, tags, annotated) for index in range(len(originals))]
    others = tuple(pair for pair in columns.reading.columns if pair[0] != "annotated")
    read = read_traces(row, replace(columns.reading, columns=others))
    traces: list[AnnotatedTrace | Refusal] = []
    remarks: list[str] = []
    for trace in read.value:
        index = trace.extra.get("generation", 0) if isinstance(trace, Trace) else None
        mark = found[index] if isinstance(index, int) else None
        if isinstance(trace, Refusal):
            traces.append(trace)
        elif isinstance(mark, MarkupError):
            traces.append(Refusal(str(mark)))
        elif mark is None:
            remarks.append(_UNTAGGED)
        else:
            traces.append(_annotated(trace, mark, remarks))
    understood = _noting(read.understood, remarks, ("annotated", annotated))
    return RowRead(traces, understood, read.generations)


def _beside(
    tagged: Sequence[str], index: int, originals: Sequence[str], tags: SpanTags, column: str
) -> Marked | MarkupError | None:
    """The spans of one generation; None if it was not marked.

    Lists of different lengths go together by their texts: those who published them also kept plain copies.
    """
    if len(tagged) == len(originals):
        return _caught(tagged[index], tags, originals[index], f"{column}[{index}]")
    own = [place for place, text in enumerate(tagged) if _bare(text, tags) == _bare(originals[index], tags)]
    marked = [place for place in own if tags.is_in(tagged[place])]
    if marked:
        return _caught(tagged[marked[0]], tags, originals[index], f"{column}[{marked[0]}]")
    known = {_bare(text, tags) for text in originals}
    if own or all(_bare(text, tags) in known for text in tagged):
        return None
    return MarkupError(f"differs: none of the {len(tagged)} texts in '{column}' is that of generation {index}")


def _caught(tagged: str, tags: SpanTags, original: str | None, where: str) -> Marked | MarkupError | None:
    if not tags.is_in(tagged) and original in (None, tagged):
        return None
    try:
        return untag(tagged, tags, original)
    except MarkupError as error:
        return MarkupError(f"{error}, in {where}")


def _read_tagged(row: JsonObject, reading: Reading) -> RowRead[list[AnnotatedTrace | Refusal]]:
    """Rows whose tags stand in the texts that traces are made from."""
    marks: dict[str, list[Span] | MarkupError] = {}
    read = read_traces(_untagged(row, reading, _originals(row, reading), marks), reading)
    traces: list[AnnotatedTrace | Refusal] = []
    remarks: list[str] = []
    for trace in read.value:
        if isinstance(trace, Refusal):
            traces.append(trace)
            continue
        plain = next((text for text in marks if _is_of(text, trace)), None)
        mark = None if plain is None else marks[plain]
        if isinstance(mark, MarkupError):
            traces.append(Refusal(str(mark)))
        elif plain is not None and mark is not None:
            traces.append(_annotated(trace, (plain, mark), remarks))
        elif read.generations == 1:
            traces.append(Refusal(f"untagged: no {reading.tags.opening} stands in the thinking"))
        else:
            remarks.append(_UNTAGGED)
    return RowRead(traces, _noting(read.understood, remarks), read.generations)


def _untagged(
    value: object, reading: Reading, originals: Sequence[str], marks: dict[str, list[Span] | MarkupError]
) -> object:
    """A value without the tags in the model's texts, which are noted in `marks` by the plain text."""
    value = in_messages(value)
    if isinstance(value, dict):
        own = _own(value)
        return {
            name: _untagged(item, reading, originals, marks) if name in own else item for name, item in value.items()
        }
    if isinstance(value, list):
        return [_untagged(item, reading, originals, marks) for item in value]
    if not isinstance(value, str) or not reading.tags.is_in(value):
        return value
    bare = _bare(value, reading.tags)
    original = next((text for text in originals if _bare(text, reading.tags) == bare), None)
    try:
        if originals and original is None:
            raise MarkupError("differs: the tagged text is none of the row's generations")
        plain, marks[plain] = untag(value, reading.tags, original)
    except MarkupError as error:
        plain = reading.tags.off(value)
        marks[plain] = error
    return plain


def _texts(value: object) -> Iterator[str]:
    """The texts in a value that the model may have written."""
    value = in_messages(value)
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name in _own(value):
            yield from _texts(value[name])
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _own(value: JsonObject) -> list[str]:
    """The fields of an object that hold no question; none of a turn that is not the model's."""
    return [] if is_asked(value) else [name for name in value if name not in _ASKED]


def _texts_of(columns: RowColumns, column: str) -> list[str]:
    """The texts of a column that holds one or a list. Raises SchemaError."""
    value = columns.value(column)
    texts = value if isinstance(value, list) else [value]
    if wrong := next((type(text).__name__ for text in texts if not isinstance(text, str)), None):
        raise SchemaError(f"field '{column}' holds texts, got {wrong}")
    return [text for text in texts if isinstance(text, str)]


def _bare(text: str, tags: SpanTags) -> str:
    """A text without its tags and white space, by which it is found again."""
    return "".join(tags.off(text).split())


def _is_of(plain: str, trace: Trace) -> bool:
    return trace.reasoning.strip() in (plain.strip(), split_thinking(plain)[0])


def _noting(found: Understood, remarks: Sequence[str], *columns: tuple[str, str]) -> Understood:
    return replace(found, columns=(*found.columns, *columns), remarks=tuple(dict.fromkeys((*found.remarks, *remarks))))


def _originals(row: JsonObject, reading: Reading) -> list[str]:
    """The plain generations of a row, which a tagged text beside them was made from."""
    texts = [text for name in ANY.columns["generations"] for text in _texts(row.get(name))]
    return texts if not any(map(reading.tags.is_in, texts)) else []


def _annotated(trace: Trace, mark: Marked, remarks: list[str]) -> AnnotatedTrace | Refusal:
    """The trace with the spans of its whole text."""
    found = in_thinking(*mark)
    if found.reasoning != trace.reasoning.strip():
        return Refusal("differs: the tagged text holds other thinking than the trace")
    if found.outside:
        remarks.append(_OUTSIDE)
    return marked_trace(trace, found, ANNOTATOR)


def marked_trace(trace: Trace, found: MarkedThinking, annotator: str) -> AnnotatedTrace:
    """A trace with the spans of its thinking; what is marked in the response is marked nowhere."""
    left = len(trace.reasoning) - len(trace.reasoning.lstrip())
    spans = (HardSpan(start=start + left, end=end + left, score=1.0) for start, end in found.spans)
    outside = (Unplaced(snippet=text, similarity=1.0, reason="in the response") for text in found.outside)
    return annotated(trace, annotator, spans, outside)
