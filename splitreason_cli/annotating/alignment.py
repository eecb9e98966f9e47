"""Snippets that an annotator copied out of a trace, back to spans of that trace.

The trace is only read: a span is a range of its characters (code points), never text of the snippet's. A snippet that
stands there verbatim is found as such; one that came back slightly altered goes to the most similar place.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Literal

import regex
from rapidfuzz import fuzz

from ..records import markup
from ..records.data import HardSpan, Unplaced
from ..records.sentences import sentences
from .cap import keep_or_cut

MOST_SEARCHED = 200
"""Snippets of a trace that are looked for by similarity; finding one verbatim costs next to nothing."""

VERBATIM_BELOW = 20
"""Shorter snippets, in characters, are only placed verbatim: by chance they are similar to something in any trace."""

ENDS_BELOW = 12
"""Shorter ends of a snippet, in characters of both, stand around any passage."""

MOST_LEFT_OUT = 2_000
"""Characters that an ellipsis in a snippet may stand for."""

_ELLIPSIS = regex.compile(r"\s*(?:\[\s*(?:\.{3,}|…)\s*\]|\(\s*(?:\.{3,}|…)\s*\)|\.{3,}|…|\. \. \.|\\[lc]?dots\b)\s*")
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
    """Where a snippet stands, if it was found, and how similar that place is (0..1); `why_not` if it was not."""

    span: markup.Span | None
    similarity: float
    why_not: Literal["not found", "repeated", "too many"] = "not found"


def align(text: str, snippets: Sequence[str], config: AlignConfig) -> tuple[list[HardSpan], list[Unplaced]]:
    """The spans of `snippets` (hardest first) in `text`, sorted, disjoint and capped, and what is not marked.

    A span's score is 1 for the first snippet and falls towards 0 with its rank; merged spans keep the highest score
    and the lowest similarity of their parts. What is over the cap is cut at the end of a sentence, and its rest is not
    marked.
    """
    spans, unplaced = [], []
    for rank, (snippet, found) in enumerate(zip(snippets, place(text, snippets, config), strict=True)):
        if found.span is None:
            unplaced.append(Unplaced(snippet=snippet, similarity=found.similarity, reason=found.why_not))
            continue
        start, end = found.span
        spans.append(HardSpan(start=start, end=end, score=1 - rank / len(snippets), similarity=found.similarity))
    limit = config.fraction * len(text)
    if config.snap == "line":
        spans = _snapped(text, spans, limit)
    kept, dropped = keep_or_cut(text, spans, limit, config.merge_gap)
    return kept, [*unplaced, *(over_fraction(text, span) for span in dropped)]


def over_fraction(text: str, span: HardSpan) -> Unplaced:
    """A span that the cap left no room for."""
    return Unplaced(snippet=text[span.start : span.end], similarity=span.similarity, reason="over the fraction")


def place(text: str, snippets: Sequence[str], config: AlignConfig) -> list[Placement]:
    """Where each snippet stands: verbatim ones first, repeated ones at different places in the order of the text."""
    placements = [Placement(None, 0.0)] * len(snippets)
    searched_to: dict[str, int] = {}
    fuzzy: list[int] = []
    for index, snippet in enumerate(map(str.strip, snippets)):
        start = text.find(snippet, searched_to.get(snippet, 0)) if snippet else -1
        if start >= 0:
            searched_to[snippet] = start + len(snippet)
            placements[index] = Placement(_whole_words(text, (start, start + len(snippet))), 1.0)
        elif snippet in searched_to:
            placements[index] = Placement(None, 1.0, "repeated")
        elif len(fuzzy) < MOST_SEARCHED:
            fuzzy.append(index)
        else:
            placements[index] = Placement(None, 0.0, "too many")
    taken = [placement.span for placement in placements if placement.span]
    for index in fuzzy:
        placements[index] = _altered(text, snippets[index].strip(), taken, config.min_similarity)
        taken += [span] if (span := placements[index].span) else []
    return placements


def _altered(text: str, snippet: str, taken: Sequence[markup.Span], min_similarity: float) -> Placement:
    """The place of a snippet that does not stand in the text as it is."""
    pieces = [piece for piece in _ELLIPSIS.split(snippet) if piece]
    if not pieces or pieces == [snippet]:
        return _most_similar(text, snippet, taken, min_similarity)
    head, tail = pieces[0], pieces[-1]
    if len(pieces) == 1:
        found = _most_similar(text, head, taken, min_similarity)
    elif len(head + tail) < ENDS_BELOW:
        return Placement(None, 0.0)
    elif span := _between(_verbatim(text, head), _verbatim(text, tail)):
        return Placement(_whole_words(text, span), 1.0)
    else:
        found = _most_similar(text, snippet, taken, min_similarity)
    if found.span is None and (span := _by_its_ends(text, head, tail, min_similarity)):
        return Placement(_whole_words(text, span), min_similarity)
    return found


def _by_its_ends(text: str, head: str, tail: str, min_similarity: float) -> markup.Span | None:
    """Where a snippet stands that was shortened and altered: between its ends or, if it has one, where that stands."""
    ends = [_verbatim(text, piece) or _similar(text, piece, min_similarity) for piece in (head, tail)]
    if head != tail and (span := _between(*ends)):
        return span
    # An end that is short and stands in many places tells nothing.
    certain = [spans[0] for spans in ends if spans and (len(spans) == 1 or _length(spans[0]) >= VERBATIM_BELOW)]
    return max(certain, key=_length, default=None)


def _verbatim(text: str, piece: str) -> list[markup.Span]:
    return [match.span() for match in regex.finditer(regex.escape(piece), text)]


def _similar(text: str, piece: str, min_similarity: float) -> list[markup.Span]:
    span = _most_similar(text, piece, [], min_similarity).span
    return [span] if span else []


def _between(heads: Sequence[markup.Span], tails: Sequence[markup.Span]) -> markup.Span | None:
    """From a head to the tail behind it, where that leaves out least and not too much; both in the text's order."""
    starts = [start for start, _ in tails]
    following = [(one, tails[at]) for one in heads if (at := bisect_left(starts, one[1])) < len(tails)]
    first, last = min(following, key=lambda ends: ends[1][0] - ends[0][1], default=((0, 0), (0, 0)))
    return (first[0], last[1]) if following and last[0] - first[1] <= MOST_LEFT_OUT else None


def _most_similar(text: str, snippet: str, taken: Sequence[markup.Span], min_similarity: float) -> Placement:
    """The best place of an altered snippet; of equally good ones, one that no other snippet has taken."""
    # So much longer than the text it is similar to no part of it, and the search would take minutes.
    highest = 2 * len(text) / (len(text) + len(snippet)) if snippet else 0.0
    if highest < min_similarity:
        return Placement(None, 0.0)
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


def _length(span: markup.Span) -> int:
    return span[1] - span[0]


def _overlap(one: markup.Span, other: markup.Span) -> int:
    return min(one[1], other[1]) - max(one[0], other[0])


def _whole_words(text: str, span: markup.Span) -> markup.Span:
    """Extend a span over the words that it cuts."""
    start, end = span
    first = next(_words(text, start, start + 1), span)
    last = next(_words(text, end - 1, end), span)
    return min(start, first[0]), max(end, last[1])


def _snapped(text: str, spans: Sequence[HardSpan], limit: float) -> list[HardSpan]:
    """The spans with their ends moved to those of lines or, where that would be over the limit, of sentences."""
    for units in (markup.line_spans(text, [(0, len(text))]), sentences(text)):
        snapped = [_widened(span, units) for span in spans]
        if markup.covered(markup.normalize([(span.start, span.end) for span in snapped])) <= limit:
            break
    return snapped


def _widened(span: HardSpan, units: Sequence[markup.Span]) -> HardSpan:
    """The span over whole `units`, which are sorted and disjoint, as far as it lies in any."""
    touched = units[
        bisect_right(units, span.start, key=itemgetter(1)) : bisect_left(units, span.end, key=itemgetter(0))
    ]
    return replace(span, start=touched[0][0], end=touched[-1][1]) if touched else span


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
