"""Snippets that an annotator copied out of a trace, back to spans of that trace.

The trace is only read: a span is a range of its characters (code points), never text of the snippet's. A snippet that
stands there verbatim is found as such; one that came back slightly altered goes to the most similar place.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import regex
from rapidfuzz import fuzz

from ..records import markup
from ..records.data import HardSpan, Unplaced

VERBATIM_BELOW = 20
"""Shorter snippets, in characters, are only placed verbatim: by chance they are similar to something in any trace."""

_WORD = regex.compile(
    r"\\(?:[A-Za-z]+|\S)"  # a LaTeX command
    r"|[\p{Han}\p{Hiragana}\p{Katakana}]\p{M}*"  # scripts without spaces between words
    r"|(?:\d+(?:[.,]\d+)*|\p{L}\p{M}*)+"  # words, numbers, and terms such as 2x
    r"|(?!\s)\X"
)
_TAKEN = "\ue000"


@dataclass(frozen=True)
class AlignConfig:
    """How snippets become spans.

    Args:
        min_similarity: 0..1, rapidfuzz's normalised indel similarity below which a snippet counts as not found.
        snap: what a span's ends are moved to.
        merge_gap: spans at most so many characters apart become one.
        fraction: the largest share of a trace's characters to mark, 0..1.
    """

    min_similarity: float = 0.85
    snap: Literal["word", "line"] = "word"
    merge_gap: int = 10
    fraction: float = 0.2


@dataclass(frozen=True)
class Placement:
    """Where a snippet stands, if it was found, and how similar that place is (0..1)."""

    span: markup.Span | None
    similarity: float


def align(text: str, snippets: Sequence[str], config: AlignConfig) -> tuple[list[HardSpan], list[Unplaced]]:
    """The spans of `snippets` (hardest first) in `text`, sorted, disjoint and capped, and what was not found.

    A span's score is 1 for the first snippet and falls towards 0 with its rank; merged spans keep the highest score
    and the lowest similarity of their parts.
    """
    spans, unplaced = [], []
    for rank, (snippet, found) in enumerate(zip(snippets, place(text, snippets, config), strict=True)):
        if found.span is None:
            unplaced.append(Unplaced(snippet=snippet, similarity=found.similarity))
            continue
        start, end = _lines(text, found.span) if config.snap == "line" else found.span
        score = 1 - rank / len(snippets)
        spans.append(HardSpan(start=start, end=end, score=score, similarity=found.similarity))
    return keep_hardest(spans, config.fraction * len(text), config.merge_gap), unplaced


def place(text: str, snippets: Sequence[str], config: AlignConfig) -> list[Placement]:
    """Where each snippet stands: verbatim ones first, repeated ones at different places in the order of the text."""
    placements = [Placement(None, 0.0)] * len(snippets)
    searched_to: dict[str, int] = {}
    fuzzy = []
    for index, snippet in enumerate(map(str.strip, snippets)):
        start = text.find(snippet, searched_to.get(snippet, 0)) if snippet else -1
        if start >= 0:
            searched_to[snippet] = start + len(snippet)
            placements[index] = Placement(_whole_words(text, (start, start + len(snippet))), 1.0)
        elif snippet in searched_to:
            # It was repeated more often than it occurs.
            placements[index] = Placement(None, 1.0)
        else:
            fuzzy.append(index)
    taken = [placement.span for placement in placements if placement.span]
    for index in fuzzy:
        placements[index] = _most_similar(text, snippets[index].strip(), taken, config.min_similarity)
        taken += [span] if (span := placements[index].span) else []
    return placements


def keep_hardest(spans: Iterable[HardSpan], limit: float, merge_gap: int = 0) -> list[HardSpan]:
    """The spans with the highest scores that together cover at most `limit` characters, merged and sorted."""
    kept: list[HardSpan] = []
    for span in sorted(spans, key=lambda span: (-span.score, span.start)):
        merged = _merge([*kept, span], merge_gap)
        if markup.covered([(one.start, one.end) for one in merged]) <= limit:
            kept = merged
    return kept


def _merge(spans: Sequence[HardSpan], gap: int) -> list[HardSpan]:
    merged = []
    for start, end in markup.normalize([(span.start, span.end) for span in spans], gap):
        parts = [span for span in spans if start <= span.start < end]
        score, similarity = max(part.score for part in parts), min(part.similarity for part in parts)
        merged.append(replace(parts[0], start=start, end=end, score=score, similarity=similarity))
    return merged


def _most_similar(text: str, snippet: str, taken: Sequence[markup.Span], min_similarity: float) -> Placement:
    """The best place of an altered snippet; of equally good ones, one that no other snippet has taken."""
    if len(snippet) < VERBATIM_BELOW:
        return Placement(None, fuzz.partial_ratio(snippet, text) / 100 if snippet else 0.0)
    best = _search(text, text, snippet)
    if best.span and any(_overlap(best.span, other) > len(snippet) / 2 for other in taken):
        elsewhere = _search(text, _without(text, taken), snippet)
        if elsewhere.similarity >= max(min_similarity, best.similarity - 0.05):
            best = elsewhere
    return best if best.similarity >= min_similarity else replace(best, span=None)


def _search(text: str, haystack: str, snippet: str) -> Placement:
    """The best place of `snippet` in `haystack`, which has the length of `text`, with its ends between words."""
    window = fuzz.partial_ratio_alignment(snippet, haystack)
    if window is None or window.dest_start == window.dest_end:
        return Placement(None, 0.0)
    # The window has the snippet's length; what was inserted or left out moves its true ends by a little.
    slack = max(8, len(snippet) // 16)
    start, end = window.dest_start, window.dest_end
    words = list(_words(text, start - slack, end + slack))
    starts = [left for left, _ in words if abs(left - start) <= slack] or [start]
    ends = [right for _, right in words if abs(right - end) <= slack] or [end]
    start = max(starts, key=lambda left: (fuzz.ratio(snippet, text[left:end]), -abs(left - start)))
    end = max(ends, key=lambda right: (fuzz.ratio(snippet, text[start:right]), -abs(right - end)))
    return Placement((start, end), fuzz.ratio(snippet, text[start:end]) / 100)


def _without(text: str, taken: Sequence[markup.Span]) -> str:
    pieces, done = [], 0
    for start, end in markup.normalize(taken):
        pieces += [text[done:start], _TAKEN * (end - start)]
        done = end
    return "".join([*pieces, text[done:]])


def _overlap(one: markup.Span, other: markup.Span) -> int:
    return min(one[1], other[1]) - max(one[0], other[0])


def _whole_words(text: str, span: markup.Span) -> markup.Span:
    """Extend a span over the words that it cuts."""
    start, end = span
    first = next(_words(text, start, start + 1), span)
    last = next(_words(text, end - 1, end), span)
    return min(start, first[0]), max(end, last[1])


def _lines(text: str, span: markup.Span) -> markup.Span:
    lines = markup.line_spans(text, [span])
    return (lines[0][0], lines[-1][1]) if lines else span


def _words(text: str, start: int, end: int) -> Iterator[markup.Span]:
    """The words, numbers, LaTeX commands and symbols of `text` that share a character with `[start, end)`."""
    left = max(start, 0)
    while left > 0 and not text[left - 1].isspace():
        left -= 1
    for match in _WORD.finditer(text, left):
        if match.start() >= end:
            return
        if match.end() > start:
            yield match.span()
