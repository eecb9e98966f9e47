"""Where the sentences of a text are."""

import re
from bisect import bisect_right

from .markup import Span

_LINE = re.compile(r"[^\n]+")
_MATHS = re.compile(r"\$\$.+?\$\$|\$(?![\s$])[^$]*?(?<!\s)\$(?!\d)|\\\(.+?\\\)|\\\[.+?\\\]")
"""A dollar of money has a space before the next one, or a digit behind it."""
_END = re.compile(r"(?P<stop>[.!?…]+)[\"'”’»)\]*_]*(?=\s)|[。！？｡।॥؟۔]+[”’」』）)\"']*")
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|s\.t|w\.r\.t|w\.l\.o\.g|a\.k\.a|cf|vs|resp|approx|viz|et al|Dr|Mrs?|Ms|Prof)\Z"
    r"|^[ \t]*(?:\(?\d{1,3}|[A-Za-z])\Z",
    re.IGNORECASE,
)
"""Also the number of an item at the beginning of its line."""
_NUMBERED = re.compile(r"\b(?:Eqs?|Figs?|Nos?|Secs?|Ch|Thm|Prop|Lem|Cor|Def|Ex|Ref|Tab|pp?)\Z", re.IGNORECASE)
_BEHIND = 12
"""Characters before a full stop in which an abbreviation is looked for."""


def sentences(text: str) -> list[Span]:
    """The sentences of `text` as spans without the white space around them. A line's end ends a sentence."""
    spans = []
    for line in _LINE.finditer(text):
        start = line.start()
        for end in [*_ends(line.group()), len(line.group())]:
            sentence = text[start : line.start() + end]
            left = start + len(sentence) - len(sentence.lstrip())
            right = start + len(sentence.rstrip())
            if left < right:
                spans.append((left, right))
            start = line.start() + end
    return spans


def sentences_of(text: str, span: Span) -> list[Span]:
    """The parts of `span` that lie in one sentence each."""
    parts = [(max(start, span[0]), min(end, span[1])) for start, end in sentences(text)]
    return [(start, end) for start, end in parts if start < end]


def _ends(line: str) -> list[int]:
    maths = [match.span() for match in _MATHS.finditer(line)]
    starts = [start for start, _ in maths]
    ends = []
    for match in _END.finditer(line):
        before = bisect_right(starts, match.start()) - 1
        if before >= 0 and match.start() < maths[before][1]:
            continue
        if match["stop"] and _goes_on(line, match):
            continue
        ends.append(match.end())
    return ends


def _goes_on(line: str, stop: re.Match[str]) -> bool:
    """Whether the full stop belongs to an abbreviation or a number, or what looks like an end is a pause."""
    following = line[stop.end() :].lstrip()[:1]
    if stop["stop"] == ".":
        before = max(0, stop.start() - _BEHIND), stop.start()
        numbered = (following.isdigit() or following == "(") and _NUMBERED.search(line, *before)
        return bool(numbered or _ABBREVIATION.search(line, *before))
    return stop["stop"].endswith(("..", "…")) and following.islower()
