"""From final token ids to text deltas: reasoning and content apart, and nothing after a stop text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ..records import markup
from ..records.data import Author
from .detokenizer import Decode, Detokenizer
from .requests import Channel, Delta, TokenLogprob

THINKING = (markup.THINK_OPEN, markup.THINK_CLOSE)

_MAX_BLANKS = 64
"""White space that is held back for a mark that may follow it. A model that loops on newlines must not fill memory."""


@dataclass(frozen=True)
class _Piece:
    """Text of one token, or inserted text, on its way through the filters. `passed` is what of the token went ahead."""

    text: str
    author: Author
    passed: str = ""
    inserted: str = ""
    logprob: TokenLogprob | None = None
    channel: Channel = "content"


class TextStream:
    """One completion's text, delivered as soon as it is final.

    The deltas depend on the ids alone, not on how they were grouped into calls: joined, their texts are always the
    same. Stop texts are looked for in the completion as generated, thinking included, across tokens and authors; the
    one that ends first counts, of several the longest. What might become a stop text or a mark of thinking is held back
    until it is decided.

    The marks of thinking are in neither channel, nor are the newlines after the opening one and around the closing one,
    which belong to the chat templates. An opening mark counts only at the start, with or without white space before it;
    with `starts_in_reasoning` it may be missing, because templates often write it into the prompt.

    Every token that starts before the stop text is in the `logprobs` of exactly one delta, if they are given; one that
    reaches into it is reported up to it.

    Args:
        decoders: of each author. Is it the same function for both, a character may be begun by one and ended by the
            other; if not, a change of authors gives up what the first left incomplete.
        stop: texts that end the completion, none of them empty.
        thinking: opening and closing mark; None leaves the text as it is, all of it content.
        context: ids that precede the completion, as each author's tokenizer has them; the last few are enough.
    """

    def __init__(
        self,
        decoders: Mapping[Author, Decode],
        *,
        stop: Sequence[str] = (),
        thinking: tuple[str, str] | None = THINKING,
        starts_in_reasoning: bool = True,
        context: Mapping[Author, Sequence[int]] | None = None,
    ) -> None:
        context = context or {}
        small = Detokenizer(decoders["small"], context.get("small", ()))
        shared = decoders["small"] == decoders["big"]
        big = small if shared else Detokenizer(decoders["big"], context.get("big", ()))
        self._detokenizers: dict[Author, Detokenizer] = {"small": small, "big": big}
        self._author: Author = "small"
        self._stop = _StopFilter(tuple(stop))
        self._channels = _Thinking(*thinking, starts_in_reasoning) if thinking else None

    @property
    def stopped(self) -> bool:
        """Whether a stop text was found. All that is fed later is ignored."""
        return self._stop.found

    def feed(self, author: Author, ids: Sequence[int], logprobs: Sequence[float] | None = None) -> list[Delta]:
        """Take these ids of `author`, with their natural-log probabilities if wanted; returns what became final."""
        return self._deltas(piece for fed in self._decoded(author, ids, logprobs) for piece in self._stop.push(fed))

    def insert(self, author: Author, text: str) -> list[Delta]:
        """Put text that nobody generated, such as a visible tag, after what was fed.

        No stop text is looked for in it, and it passes even in or after one: tags stay balanced.
        """
        return self._deltas(self._stop.push(_Piece("", author, inserted=text)))

    def flush(self) -> list[Delta]:
        """The end of the completion, after a stop text too: all that is still held back."""
        held = _Piece(self._detokenizers[self._author].flush(), self._author)
        pieces = [*self._stop.push(held), *self._stop.flush()]
        return _joined([*self._split(pieces), *(self._channels.flush() if self._channels else ())])

    def _decoded(self, author: Author, ids: Sequence[int], logprobs: Sequence[float] | None) -> Iterator[_Piece]:
        detokenizer, before = self._detokenizers[author], self._detokenizers[self._author]
        if detokenizer is not before:
            yield _Piece(before.flush(), self._author)
        self._author = author
        for position, token in enumerate(ids):
            if self.stopped:
                return
            text = detokenizer.push(token)
            yield _Piece(text, author, logprob=TokenLogprob(text, logprobs[position]) if logprobs else None)

    def _deltas(self, pieces: Iterable[_Piece]) -> list[Delta]:
        return _joined(self._split(pieces))

    def _split(self, pieces: Iterable[_Piece]) -> list[_Piece]:
        if self._channels is None:
            return list(pieces)
        return [placed for piece in pieces for placed in self._channels.push(piece)]


class _StopFilter:
    """Lets text pass up to the first stop text."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = stop
        self._held: list[_Piece] = []
        self.found = False

    def push(self, piece: _Piece) -> list[_Piece]:
        if self.found:
            return _insertions([piece])
        self._held.append(piece)
        text = _plain(self._held)
        hits = [(text.find(stop) + len(stop), text.find(stop)) for stop in self._stop if stop in text]
        if hits:
            self.found = True
            before, after = _cut(self._held, min(hits)[1])
            self._held = []
            return before + _report_of_cut_token(after) + _insertions(after)
        passed, self._held = _cut(self._held, len(text) - _overlap(text, self._stop))
        return passed

    def flush(self) -> list[_Piece]:
        held, self._held = self._held, []
        return held


class _Thinking:
    """Tells reasoning from content."""

    def __init__(self, opening: str, closing: str, starts_in_reasoning: bool) -> None:
        self._opening = opening
        self._closing = closing
        self._held: list[_Piece] = []
        self._at_start = True
        self._channel: Channel = "reasoning" if starts_in_reasoning else "content"
        self._skips_newlines = starts_in_reasoning

    def push(self, piece: _Piece) -> list[_Piece]:
        self._held.append(piece)
        if self._at_start and not self._passes_start():
            return []
        if self._channel == "content":
            return self._pass(len(_plain(self._held)))
        text = _plain(self._held)
        mark = text.find(self._closing)
        if mark < 0:
            before = text[: len(text) - _overlap(text, (self._closing,))]
            return self._pass(max(len(before.rstrip("\n")), len(before) - _MAX_BLANKS))
        reasoning = len(text[:mark].rstrip("\n"))
        passed = self._pass(reasoning) + self._drop(mark + len(self._closing) - reasoning)
        self._channel, self._skips_newlines = "content", True
        return passed + self._pass(len(_plain(self._held)))

    def flush(self) -> list[_Piece]:
        return self._pass(len(_plain(self._held)))

    def _passes_start(self) -> bool:
        """Whether it is decided if the text starts with an opening mark, which is then taken away."""
        whole = _plain(self._held)
        text = whole.lstrip()
        blanks = len(whole) - len(text)
        if blanks <= _MAX_BLANKS and self._opening.startswith(text) and text != self._opening:
            return False
        self._at_start = False
        if text.startswith(self._opening):
            self._channel, self._skips_newlines = "reasoning", True
            before, self._held = _cut(self._held, blanks + len(self._opening))
            self._held = [*_emptied(before), *self._held]
        return True

    def _pass(self, characters: int) -> list[_Piece]:
        newlines: list[_Piece] = []
        if self._skips_newlines:
            text = _plain(self._held)[:characters]
            skipped = characters - len(text.lstrip("\n"))
            newlines = self._drop(skipped)
            characters -= skipped
            self._skips_newlines = characters == 0
        passed, self._held = _cut(self._held, characters)
        return newlines + [replace(piece, channel=self._channel) for piece in passed]

    def _drop(self, characters: int) -> list[_Piece]:
        """Take text away. What was inserted there, and the tokens' probabilities, stay."""
        dropped, self._held = _cut(self._held, characters)
        return [replace(piece, channel=self._channel) for piece in _emptied(dropped)]


def _plain(pieces: Sequence[_Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _emptied(pieces: Sequence[_Piece]) -> list[_Piece]:
    return [replace(piece, text="") for piece in pieces]


def _insertions(pieces: Sequence[_Piece]) -> list[_Piece]:
    return [replace(piece, text="", logprob=None) for piece in pieces if piece.inserted]


def _overlap(text: str, patterns: Sequence[str]) -> int:
    """The length of the longest end of `text` that one of `patterns` starts with and goes beyond."""
    longest = min(len(text), max(map(len, patterns), default=1) - 1)
    for length in range(longest, 0, -1):
        end = text[-length:]
        if any(pattern.startswith(end) and pattern != end for pattern in patterns):
            return length
    return 0


def _report_of_cut_token(rest: Sequence[_Piece]) -> list[_Piece]:
    """The probability of a token that has passed in part, if the rest of it will not."""
    if not rest or not rest[0].passed or not rest[0].logprob:
        return []
    return [replace(rest[0], text="", logprob=replace(rest[0].logprob, text=rest[0].passed))]


def _cut(pieces: Sequence[_Piece], characters: int) -> tuple[list[_Piece], list[_Piece]]:
    """Split after so many characters of text. The probability of a token that is cut stays with its rest.

    Pieces without text at the cut belong to the second part if it has any text.
    """
    for position, piece in enumerate(pieces):
        if len(piece.text) > characters or (characters == 0 and _plain(pieces[position:])):
            before, after = list(pieces[:position]), list(pieces[position:])
            if characters:
                head, tail = piece.text[:characters], piece.text[characters:]
                before.append(replace(piece, text=head, logprob=None))
                after[0] = replace(piece, text=tail, passed=piece.passed + head)
            return before, after
        characters -= len(piece.text)
    return list(pieces), []


def _joined(pieces: Iterable[_Piece]) -> list[Delta]:
    """One delta for neighbours of one author and channel."""
    told = [piece for piece in pieces if piece.text or piece.inserted or piece.logprob]
    deltas = []
    for (author, channel), group in groupby(told, key=lambda piece: (piece.author, piece.channel)):
        own = list(group)
        text = "".join(piece.inserted + piece.text for piece in own)
        logprobs = tuple(piece.logprob for piece in own if piece.logprob)
        deltas.append(Delta(text, author, channel, logprobs))
    return deltas
