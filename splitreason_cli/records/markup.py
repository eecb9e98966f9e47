"""The hand-over tags: the only place where they are spelled.

Spans are half-open ranges `[start, end)` of characters (Unicode code points) of the untagged text.
"""

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

OPEN = "<bigmodel>"
CLOSE = "</bigmodel>"

HINT = f"Wrap the hardest lines in {OPEN} and {CLOSE}."
"""The sentence that tells the small model about the tags. The big model never sees it."""

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"

_ANSWER = re.compile(r"</?answer>")

THOUGHTS = (
    (THINK_OPEN, THINK_CLOSE, _ANSWER),
    ("<|begin_of_thought|>", "<|end_of_thought|>", re.compile(r"<\|(?:begin|end)_of_solution\|>")),
    ("<thinking>", "</thinking>", _ANSWER),
    ("<thought>", "</thought>", _ANSWER),
    ("<Thought>", "</Thought>", re.compile(r"</?Output>")),
    ("<reasoning>", "</reasoning>", _ANSWER),
    ("<seed:think>", "</seed:think>", _ANSWER),
    ("[THINK]", "[/THINK]", _ANSWER),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7", _ANSWER),
    (
        "<|channel|>analysis<|message|>",
        "<|end|>",
        re.compile(r"<\|start\|>assistant|<\|channel\|>final<\|message\|>|<\|(?:return|end)\|>"),
    ),
)
"""Scaffolds of reasoning models: what opens and closes the thinking, and what frames the response."""

THOUGHT_MARKS = tuple(mark for opening, closing, _ in THOUGHTS for mark in (opening, closing))

Span = tuple[int, int]

_TAG = re.compile(f"{re.escape(OPEN)}|{re.escape(CLOSE)}")
_LOOKALIKE = re.compile(r"<\s*[/\\]?\s*big\s*[-_ ]?\s*model\s*[/\\]?\s*>", re.IGNORECASE)


class MarkupError(ValueError):
    """Text whose tags are nested, unbalanced, empty or misspelt, or spans that do not fit their text.

    The message begins with the sort of fault and a colon where the tags are at fault, such as `unclosed: ...`.
    """


@dataclass(frozen=True)
class SpanTags:
    """What marks spans in somebody's text: one tag opens, any of `closings` closes."""

    opening: str
    closings: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """Tags as people write them, `<hard>,</hard>`, with a comma before each further closing. Raises ValueError."""
        opening, *closings = (part.strip() for part in text.split(","))
        if not opening or not closings or not all(closings):
            raise ValueError(f"{text!r} is no pair of tags. Write an opening and a closing one: <hard>,</hard>")
        if opening in closings:
            raise ValueError(f"{text!r}: nothing tells the opening tag from the closing one")
        return cls(opening, tuple(closings))

    def __str__(self) -> str:
        return ",".join((self.opening, *self.closings))

    def is_in(self, text: str) -> bool:
        """Whether any of the tags stands in a text."""
        return any(tag in text for tag in (self.opening, *self.closings))

    def off(self, text: str) -> str:
        """The text without the tags, whether or not they are balanced."""
        for tag in (self.opening, *self.closings):
            text = text.replace(tag, "")
        return text

    def found(self, text: str) -> "Iterator[re.Match[str]]":
        """The tags in a text."""
        # Of tags that begin alike the longest is meant.
        spelled = sorted((self.opening, *self.closings), key=len, reverse=True)
        return re.finditer("|".join(map(re.escape, spelled)), text)

    def misspelt(self, text: str) -> str | None:
        """The first thing in a text that looks like one of the tags, which it should no longer hold."""
        names = {name[1] for tag in (self.opening, *self.closings) if (name := re.fullmatch(r"<\W*(\w+)\W*>", tag))}
        like = re.search(rf"<\s*[/\\]?\s*(?:{'|'.join(names)})\s*[/\\]?\s*>", text, re.IGNORECASE) if names else None
        return like.group() if like else contains_tag(text)


OURS = SpanTags(OPEN, (CLOSE,))

PUBLISHED = SpanTags(OPEN, (CLOSE, CLOSE.replace("/", "\\")))
"""The tags of published data, whose closing one stands there with a backslash, and as it is meant."""


def normalize(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Sort spans, drop empty ones and merge those that overlap, touch or lie at most `gap` characters apart."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def render(text: str, spans: Sequence[Span]) -> str:
    """Insert the tags around `spans`. `parse` is its inverse.

    Raises MarkupError if `text` already holds a tag, or if the spans are not sorted, disjoint, non-empty and inside.
    """
    if contains_tag(text):
        raise MarkupError(f"the text already contains {contains_tag(text)}")
    pieces, done = [], 0
    for start, end in spans:
        if not (done <= start < end <= len(text)) or (done == start and done > 0):
            raise MarkupError(f"span [{start}, {end}) is empty, overlaps or touches another, or leaves the text")
        pieces += [text[done:start], OPEN, text[start:end], CLOSE]
        done = end
    return "".join([*pieces, text[done:]])


def parse(tagged: str, tags: SpanTags = OURS) -> tuple[str, list[Span]]:
    """Split tagged text into the plain text and its spans.

    Raises MarkupError if a tag is nested, unbalanced, misspelt, or encloses nothing.
    """
    pieces: list[str] = []
    spans: list[Span] = []
    opened: int | None = None
    length = done = 0
    for match in tags.found(tagged):
        piece, tag = tagged[done : match.start()], match.group()
        pieces.append(piece)
        length += len(piece)
        done = match.end()
        if tag == tags.opening:
            if opened is not None:
                raise MarkupError(f"nested: {tag} at character {match.start()} stands inside another span")
            opened = length
        else:
            if opened is None:
                raise MarkupError(f"unopened: {tag} at character {match.start()} closes nothing")
            if opened == length:
                raise MarkupError(f"empty: the span closed at character {match.start()} is empty")
            spans.append((opened, length))
            opened = None
    if opened is not None:
        raise MarkupError(f"unclosed: the last {tags.opening} is never closed")
    text = "".join([*pieces, tagged[done:]])
    if wrong := tags.misspelt(text):
        raise MarkupError(f"misspelt: {wrong!r}, expected {' or '.join((tags.opening, *tags.closings))}")
    return text, spans


def strip(tagged: str) -> str:
    """The text without its tags, whether or not they are balanced."""
    return _TAG.sub("", tagged)


def contains_tag(text: str) -> str | None:
    """The first tag in `text`, or the first thing that looks like a misspelt one."""
    match = _LOOKALIKE.search(text)
    return match.group() if match else None


def split_thinking(generation: str) -> tuple[str, str]:
    """What a model thought and what it responded, without the scaffold and the white space around both.

    A text without a scaffold, and one whose thinking never ends, is all thought.
    """
    for opening, closing, frame in THOUGHTS:
        if opening in generation or closing in generation:
            thought, _, response = generation.partition(closing)
            return thought.replace(opening, "", 1).strip(), frame.sub("", response).strip()
    return generation.strip(), ""


def covered(spans: Sequence[Span]) -> int:
    """The number of characters inside `spans`."""
    return sum(end - start for start, end in spans)


def line_spans(text: str, hits: Sequence[Span]) -> list[Span]:
    """The lines of `text`, without surrounding white space, that share a character with one of `hits`."""
    hits = normalize(hits)
    starts = [start for start, _ in hits]
    spans = []
    for match in re.finditer(r"[^\n]+", text):
        line = match.group()
        left, right = match.start() + len(line) - len(line.lstrip()), match.start() + len(line.rstrip())
        before = bisect.bisect_left(starts, right)
        if left < right and before and hits[before - 1][1] > left:
            spans.append((left, right))
    return spans
