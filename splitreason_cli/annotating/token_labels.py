"""Traces given as tokens with a label each, as routers between models are trained on: R2R's columns.

`real_token` holds token ids, or texts, and `divergent` 1 where the small model goes another way. A row is one token of
the trace `data_id`, in the order of `token_id`, or a whole trace with lists in these columns. Of tokens with `mask` 0,
and of those before the mark that opens the thinking, the text is the prompt.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from ..records import markup
from ..records.record import JsonObject, SchemaError
from ..records.tagged import MarkedThinking, in_thinking
from ..store.jsonl import Line

TOKENS, LABELS, TRACE = "real_token", "divergent", "data_id"
_PREDICTED, _MASK, _PLACE = "small_token", "mask", "token_id"
_COLUMNS = (TOKENS, LABELS, _PREDICTED, _MASK, _PLACE)
OF_TOKENS = (*_COLUMNS, TRACE, "mismatch", "small_logits", "small_indices", "small_last_hidden_states")
"""Columns that tell of tokens, and nothing of a trace."""

Spell = Callable[[object], bytes | None]
"""The bytes that a token of a row stands for, None for one that only controls models. Raises SchemaError."""


def gathered(lines: Iterable[Line]) -> Iterator[Line]:
    """Rows of one token each as one row for each run of the same `data_id`; other lines pass as they are.

    A row of a trace stands where its first token stood, has lists in the columns of tokens, and the other plain values
    of that token's row.
    """
    found = ((line, _token_row(line)) for line in lines)
    for name, group in itertools.groupby(found, lambda one: None if one[1] is None else (one[1][TRACE],)):
        if name is None:
            yield from (line for line, _ in group)
        else:
            yield _gathered(group)


@dataclass(frozen=True)
class LabelledText:
    """A trace: what the user asked, what the model wrote, and the marked lines of that.

    `ahead` tells that a label is one of the next token.
    """

    prompt: str
    thinking: MarkedThinking
    ahead: bool = False


def labelled_text(row: JsonObject, spell: Spell) -> LabelledText:
    """The text of a row whose columns hold lists. Raises SchemaError for columns that do not fit each other."""
    tokens, (labels, ahead) = _list(row, TOKENS), _labels(row)
    pieces = _Pieces([spell(token) for token in tokens])
    start = _start(row, pieces)
    try:
        text = pieces.data[start:].decode()
    except UnicodeDecodeError as error:
        raise SchemaError(f"the tokens spell no UTF-8 at byte {start + error.start}; is it their tokenizer?") from None
    hits = pieces.characters((index for index, label in enumerate(labels) if label), start)
    try:
        found = in_thinking(text, markup.normalize(hits))
    except markup.MarkupError as error:
        raise SchemaError(str(error)) from None
    lines = _joined(found.reasoning, markup.line_spans(found.reasoning, found.spans))
    marked = MarkedThinking(found.reasoning, found.response, lines, found.outside)
    return LabelledText(pieces.prompt(start), marked, ahead)


@dataclass
class _Pieces:
    """What tokens stand for, one after another; those that control models stand for nothing and cut the prompt."""

    spelled: Sequence[bytes | None]
    data: bytes = field(init=False)
    starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.data = b"".join(piece or b"" for piece in self.spelled)
        self.starts = [0, *itertools.accumulate(len(piece or b"") for piece in self.spelled)]

    def characters(self, tokens: Iterable[int], start: int) -> list[markup.Span]:
        """The ranges of characters, counted from byte `start` on, that tokens have a part in."""
        spans, seen, characters = [], start, 0
        for token in tokens:
            first, last = self.starts[token], self.starts[token + 1]
            if first < start or first == last:
                continue
            characters += _begun(self.data[seen:first])
            within = self.data[first] & 0xC0 == 0x80
            seen, end = first, characters + _begun(self.data[first:last])
            spans.append((characters - within, end))
        return spans

    def prompt(self, end: int) -> str:
        """What the user asked, of the bytes before `end`: the last turn, without the names of roles."""
        cuts = [start for start, piece in zip(self.starts, self.spelled, strict=False) if piece is None and start < end]
        turns = [self.data[a:b].decode("utf-8", "replace").strip() for a, b in itertools.pairwise([0, *cuts, end])]
        turns = [turn.removesuffix(markup.THINK_OPEN).strip() for turn in turns]
        turns = [turn for turn in turns if turn not in ("", "assistant")]
        return turns[-1].removeprefix("user\n") if turns else ""


def _token_row(line: Line) -> JsonObject | None:
    """The row in a line, if it is one token of a trace."""
    if line.is_too_long:
        return None
    try:
        row = orjson.loads(line.data)
    except orjson.JSONDecodeError:
        return None
    is_token = isinstance(row, dict) and {TOKENS, LABELS, TRACE} <= row.keys() and not isinstance(row[TOKENS], list)
    return row if is_token else None


def _gathered(group: Iterable[tuple[Line, JsonObject | None]]) -> Line:
    where, first = "", JsonObject()
    columns: dict[str, list[object]] = {}
    for line, row in group:
        assert row is not None, "lines without a token are no group"
        if not columns:
            # Logits and hidden states weigh a hundred times what the tokens do.
            where, first = line.where, {name: value for name, value in row.items() if not isinstance(value, list)}
            columns = {name: [] for name in _COLUMNS if name in row}
        for name, values in columns.items():
            values.append(row.get(name))
    return Line(where, orjson.dumps({**first, **columns}), is_too_long=False)


def _list(row: Mapping[str, object], name: str) -> list[object]:
    values = row.get(name)
    if not isinstance(values, list):
        raise SchemaError(f"field '{name}' holds no tokens of a trace: expected `array`, or one token a row")
    return values


def _labels(row: Mapping[str, object]) -> tuple[list[bool], bool]:
    """Whether each token is divergent, and whether the row says so at the token before it."""
    tokens, labels = _list(row, TOKENS), [label == 1 for label in _list(row, LABELS)]
    if len(labels) != len(tokens):
        raise SchemaError(f"{len(tokens):,} tokens in '{TOKENS}' and {len(labels):,} labels in '{LABELS}'")
    places = row.get(_PLACE)
    if isinstance(places, list) and places != [*range(first := int(places[0]), first + len(places))]:
        raise SchemaError(f"the tokens of the trace are not all there, or not in the order of '{_PLACE}'")
    # R2R labels what the small model predicts after a token, so that a label belongs to the token of the next row.
    predicted = row.get(_PREDICTED)
    ahead = isinstance(predicted, list) and _agree(predicted, tokens[1:]) >= _agree(predicted, tokens)
    return [False, *labels[:-1]] if ahead else labels, ahead


def _agree(one: Iterable[object], other: Iterable[object]) -> int:
    return sum(a == b for a, b in zip(one, other, strict=False))


def _start(row: Mapping[str, object], pieces: _Pieces) -> int:
    """The byte at which what the model wrote begins."""
    mask = row.get(_MASK)
    asked = len([*itertools.takewhile(lambda is_written: not is_written, mask)]) if isinstance(mask, list) else 0
    if 0 < asked < len(pieces.starts):
        return pieces.starts[asked]
    return max(0, pieces.data.find(markup.THINK_OPEN.encode()))


def _begun(data: bytes) -> int:
    """How many characters begin in these bytes."""
    return sum(byte & 0xC0 != 0x80 for byte in data)


def _joined(text: str, lines: Sequence[markup.Span]) -> tuple[markup.Span, ...]:
    """Lines that have only white space between them as one span."""
    joined: list[markup.Span] = []
    for start, end in lines:
        if joined and not text[joined[-1][1] : start].strip():
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
