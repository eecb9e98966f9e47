"""Tagged texts that others made, back to the plain text and its spans.

Their tags may have another closing, spans of white space alone, white space around them that the plain text lacks, and
they may stand in the response or around the end of the thinking. What is broken raises MarkupError, whose message
begins with the sort of fault: nested, unclosed, unopened, empty, blank, misspelt, untagged, padded or differs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .markup import CLOSE, OPEN, MarkupError, Span, SpanTags, normalize, parse, render
from .scaffold import THOUGHT_MARKS, split_thinking

_PADDING = ("\n ", " \n")
"""What published data has before and after a tag, and the text it was made from has not."""


@dataclass(frozen=True)
class MarkedThinking:
    """What a model thought and responded, as `split_thinking` gives them, and the spans of the reasoning.

    `outside` holds the texts that were marked in the response.
    """

    reasoning: str
    response: str
    spans: tuple[Span, ...]
    outside: tuple[str, ...]


def untag(tagged: str, tags: SpanTags, original: str | None = None) -> tuple[str, list[Span]]:
    """The plain text of a tagged one, and its spans: sorted, apart from each other, none of white space alone.

    White space around tags is undone where `original`, the text before it was tagged, shows that it was added. Without
    it that is known only where every opening tag stands on a line of its own with a space at either side.

    Raises MarkupError for broken tags, and for a text that is not the original's.
    """
    if not tags.is_in(tagged):
        wrong = tags.misspelt(tagged)
        raise MarkupError(f"misspelt: {wrong!r}" if wrong else f"untagged: no {tags.opening} stands in the text")
    plain, spans = parse(tagged if original is not None else _unpadded(tagged, tags), tags)
    if original is not None and plain != original:
        plain, spans = original, _placed(tagged, tags, original)
    for start, end in spans:
        if not plain[start:end].strip():
            raise MarkupError(f"blank: the span at character {start} of the untagged text holds only white space")
    return plain, normalize(spans)


def in_thinking(plain: str, spans: Sequence[Span]) -> MarkedThinking:
    """Spans of a whole generation as spans of its reasoning; one that goes on into the response is cut there.

    Raises MarkupError for a text that holds a tag of ours, and for spans that do not fit.
    """
    thought, response = map(_balanced, split_thinking(render(plain, _off_marks(plain, spans))))
    reasoning, inside = _trimmed(*parse(thought))
    after, behind = _trimmed(*parse(response))
    return MarkedThinking(reasoning, after, tuple(inside), tuple(after[start:end] for start, end in behind))


def _unpadded(tagged: str, tags: SpanTags) -> str:
    before, after = _PADDING
    for tag in (tags.opening, *tags.closings):
        padded = tagged.count(f"{before}{tag}{after}")
        if padded and padded < tagged.count(tag):
            raise MarkupError(f"padded: white space was added around {padded} of {tagged.count(tag)} {tag}")
        tagged = tagged.replace(f"{before}{tag}{after}", tag)
    return tagged


def _placed(tagged: str, tags: SpanTags, original: str) -> list[Span]:
    """The spans of a well-formed tagged text in the original, which lacks some of the white space around the tags."""
    matches = [*tags.found(tagged)]
    starts, ends = [0, *(match.end() for match in matches)], [*(match.start() for match in matches), len(tagged)]
    places: list[int] = []
    at = 0
    for start, end in zip(starts, ends, strict=True):
        piece = tagged[start:end]
        rest = piece.lstrip() if start else piece
        text = rest.rstrip() if end < len(tagged) else rest
        at = _past(piece[: len(piece) - len(rest)], original, at)
        if not original.startswith(text, at):
            raise _differs(text, original, at)
        at = _past(rest[len(text) :], original, at + len(text))
        places.append(at)
    if places.pop() != len(original):
        raise _differs("", original, at)
    return [_without_white(original, start, end) for start, end in zip(places[::2], places[1::2], strict=True)]


def _without_white(text: str, start: int, end: int) -> Span:
    """A span without the white space at its ends, of which nobody knows whether it was added."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return (start + left, end - len(piece) + len(piece.rstrip())) if piece.strip() else (start, end)


def _past(white: str, original: str, start: int) -> int:
    """The place in the original behind as much of this white space as stands there."""
    for character in white:
        start += original[start : start + 1] == character
    return start


def _differs(text: str, original: str, start: int) -> MarkupError:
    same = next((i for i, (a, b) in enumerate(zip(text, original[start:], strict=False)) if a != b), len(text))
    here, there = text[same : same + 20], original[start + same :][:20]
    return MarkupError(f"differs: {here!r} stands where the text it was made from has {there!r}")


def _off_marks(plain: str, spans: Sequence[Span]) -> list[Span]:
    """The spans without the parts of scaffold marks that they cut, which would be none with a tag inside."""
    marks = [match.span() for match in re.finditer("|".join(map(re.escape, THOUGHT_MARKS)), plain)]
    whole = []
    for start, end in spans:
        for first, last in marks:
            start, end = last if first < start < last else start, first if first < end < last else end
        whole.append((start, end))
    return normalize(whole)


def _balanced(part: str) -> str:
    """One side of a cut through tagged text: a span that the cut goes through ends, or begins, there."""
    opening, closing = part.find(OPEN), part.find(CLOSE)
    if closing >= 0 and (opening < 0 or closing < opening):
        part = OPEN + part
    if part.rfind(OPEN) > part.rfind(CLOSE):
        part += CLOSE
    return part.replace(OPEN + CLOSE, "")


def _trimmed(text: str, spans: Sequence[Span]) -> tuple[str, list[Span]]:
    """A text without the white space around it, and what is left of its spans."""
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    inside = [(max(start, first) - first, min(end, last) - first) for start, end in spans]
    return text.strip(), [(start, end) for start, end in inside if text.strip()[start:end].strip()]
