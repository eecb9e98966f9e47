"""The largest share of a trace that may be marked: which spans it keeps, and which parts of longer ones."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

import regex

from ..records.data import HardSpan
from ..records.sentences import sentences

_WORD_END = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]|\S(?=\s|\Z)")


def keep_hardest(spans: Iterable[HardSpan], limit: float, merge_gap: int = 0) -> list[HardSpan]:
    """The spans with the highest scores that together cover at most `limit` characters, merged and sorted.

    Spans at most `merge_gap` characters apart become one, with the best score and the worst similarity of its parts.
    """
    cover = _Cover(limit, merge_gap)
    for span in _hardest_first(spans):
        cover.add(span)
    return cover.spans


def keep_or_cut(
    text: str, spans: Iterable[HardSpan], limit: float, merge_gap: int = 0
) -> tuple[list[HardSpan], list[HardSpan]]:
    """As `keep_hardest`, with a span that does not fit cut at the end of a sentence; returns also what was dropped.

    Where not even the first sentence of any span fits, the hardest is cut between words.
    """
    cover = _Cover(limit, merge_gap)
    too_long = [span for span in _hardest_first(spans) if not cover.add(span)]
    if not too_long:
        return cover.spans, []
    ends = [end for _, end in sentences(text)]
    dropped = []
    for span in too_long:
        end = cover.longest(span, ends[bisect_right(ends, span.start) : bisect_left(ends, span.end)])
        if end is None and not cover.spans:
            end = cover.longest(span, [match.end() for match in _WORD_END.finditer(text, span.start, span.end)])
        if end is not None:
            cover.add(replace(span, end=end))
            span = replace(span, start=_next_word(text, end))
        if span.start < span.end:
            dropped.append(span)
    return cover.spans, dropped


def _hardest_first(spans: Iterable[HardSpan]) -> list[HardSpan]:
    return sorted((span for span in spans if span.start < span.end), key=lambda span: (-span.score, span.start))


def _next_word(text: str, start: int) -> int:
    return start + len(text[start:]) - len(text[start:].lstrip())


class _Cover:
    """Disjoint spans in the order of the text, which cover at most `limit` characters."""

    def __init__(self, limit: float, gap: int) -> None:
        self.spans: list[HardSpan] = []
        self._limit, self._gap, self._covered = limit, gap, 0

    def add(self, span: HardSpan) -> bool:
        """Add a span, merged with its neighbours, if there is room for it."""
        cost = self._cost(span)
        if self._covered + cost > self._limit:
            return False
        first, last = self._neighbours(span)
        parts = [span, *self.spans[first:last]]
        merged = HardSpan(
            start=min(part.start for part in parts),
            end=max(part.end for part in parts),
            score=max(part.score for part in parts),
            similarity=min(part.similarity for part in parts),
        )
        self.spans[first:last] = [merged]
        self._covered += cost
        return True

    def longest(self, span: HardSpan, ends: Sequence[int]) -> int | None:
        """The last of the ascending `ends` up to which there is room for the span."""
        room = self._limit - self._covered
        fitting = bisect_right(ends, room, key=lambda end: self._cost(replace(span, end=end)))
        return ends[fitting - 1] if fitting else None

    def _cost(self, span: HardSpan) -> int:
        """The characters that the span would add."""
        first, last = self._neighbours(span)
        if first == last:
            return span.end - span.start
        others = self.spans[first:last]
        length = max(span.end, others[-1].end) - min(span.start, others[0].start)
        return length - sum(one.end - one.start for one in others)

    def _neighbours(self, span: HardSpan) -> tuple[int, int]:
        """The range of the spans that would become one with this one."""
        first = bisect_left(self.spans, span.start - self._gap, key=lambda one: one.end)
        return first, bisect_right(self.spans, span.end + self._gap, key=lambda one: one.start)
