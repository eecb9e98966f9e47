r"""Which answer a completion gives: what stands in its last box, or what it says last.

Only what follows the thinking counts. Thinking that was opened and never closed was cut off, and gives no answer.
"""

import re
from collections import deque
from dataclasses import dataclass
from typing import get_args

from ..errors import UsageError
from .markup import THINK_CLOSE, THINK_OPEN
from .measurement import Extract

EXTRACTS: tuple[Extract, ...] = get_args(Extract)

_MARKS = re.compile(
    r"(?P<braced>\\(?:boxed|fbox|framebox(?:\s{0,8}\[[^\[\]{}\n]{0,20}\]){0,2})\s*\{)"
    r"|(?P<bare>\\boxed(?![A-Za-z]))"
    r"|\\\\(?!boxed|fbox|framebox)|\\[{}]|[{}]"
)
_COMMAND = r"\\[A-Za-z]+(?:\s?\{[^{}\n$]{0,80}\})*"
_FRACTION = r"\\[dt]?frac\s*(?:\{[^{}\n]{0,80}\}|\w|\\[A-Za-z]+)\s*(?:\{[^{}\n]{0,80}\}|\w)"
_FORMULA_END = re.compile(r"\$|\\\)|\\\]|\n")
_LONGEST_FORMULA = 200
_BARE_TOKEN = re.compile(
    rf"[ \t]*([+\-\u2212]?\s?(?:\d+(?:[.,]\d+)*|{_FRACTION}|\\(?:text|math)[a-z]+\{{[^{{}}\n]{{1,80}}\}}))"
)
_BARE_START = re.compile(r"[+\-\u2212]?\s?(?:\d|\\[A-Za-z]|[\u221a\u03c0(]|[A-Za-z](?![A-Za-z]))")
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}|[.;:]\s|\\(?:boxed|fbox|framebox)")
_TEXTUAL = re.compile(r"\\(?:text|math|operatorname)[a-z]*\s?\{[^{}]{0,80}\}")
_CUT = re.compile(r"\\(?:box(?:ed?)?|fbox|frame(?:box)?)\s*\Z")
_MENTION = re.compile(r"(?:[\s.\u2026~]|\\(?:[ld]?dots|cdots|quad|[,;:! ]))*")
_BETWEEN = 80
_RETRACTION = re.compile(
    r"\b(?:no|not|nope|but|wait|actually|instead|rather|correct(?:ion|ed)?|oops|mistake|wrong|hmm|however|sorry|finally"
    r"|alternatively|should|cannot|check|recheck|simplif\w*|equals?|equivalent\w*|thus|hence|therefore|so)\b|\A[\s$]*(?:\\[)\]])?\s*(?:=|\u2248|\\approx)",
    re.IGNORECASE,
)
_SAID = re.compile(r"\banswers?\b[^\n.:=]{0,40}?(?:\bis\b|\bare\b|[:=])\s*", re.IGNORECASE)
_CHOSEN = re.compile(r"\b(?:[Oo]ption|[Cc]hoice)\b(?:[^\n.:=]{0,20}?(?:\bis\b|:))?[\s*(]{1,4}([A-J])(?![\w'])")
_SENTENCE = re.compile(r"(?s)\s*((?:[^.\n]|\.(?=\d))*)")
_MATHS = re.compile(r"\$\$([^$]{1,400})\$\$|\$([^$\n]{1,400})\$|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]", re.DOTALL)
_NUMBER = re.compile(r"[+\-\u2212]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s?/\s?\d+)?(?:\s?\\?%)?")
_EDGES = " \t\n*_.,;:!?\u00a0"


@dataclass(frozen=True)
class Box:
    """A box of a text: where its macro begins and ends, in characters, and what stands in it."""

    start: int
    end: int
    content: str


def answer_in(completion: str, extract: Extract = "box") -> str | None:
    r"""The answer that a completion gives after its thinking; None if it gives none.

    `box` takes the last `\boxed{}`. Boxes that stand together, as in `\boxed{2} and \boxed{3}`, are one answer of
    several parts, written `\boxed{2}, \boxed{3}`. `last` takes what follows the last "answer is", else the last option
    that is named, formula or number, else a text of one word. `auto` takes the box, and what is said last only
    where no box was begun. Raises UsageError for others.
    """
    if extract not in EXTRACTS:
        raise UsageError(f"{extract!r} is no way to find an answer", f"Known: {', '.join(EXTRACTS)}")
    text = _after_thinking(completion)
    if extract == "last":
        return _said_last(text)
    boxes, is_cut = _boxes(text)
    if is_cut or boxes:
        return None if is_cut else _together(text, boxes)
    return _said_last(text) if extract == "auto" else None


def boxed_answer(completion: str) -> str | None:
    r"""The content of the last box after the thinking; None if there is none, or if the last one was cut off.

    A box is `\boxed{}`, `\fbox{}`, `\framebox{}`, or `\boxed` before a formula without braces. One that is empty or
    holds only dots speaks of boxes and is none. Of nested boxes the inner one counts; escaped braces are no braces.
    """
    boxes, is_cut = _boxes(_after_thinking(completion))
    return boxes[-1].content if boxes and not is_cut else None


def parts_of_run(answer: str) -> list[str]:
    r"""The contents of `\boxed{2}, \boxed{3}` as `answer_in` writes them; the answer itself where it is no such run."""
    if not answer.startswith("\\boxed{"):
        return [answer]
    boxes, _ = _boxes(answer)
    return [box.content for box in boxes] or [answer]


def _after_thinking(completion: str) -> str:
    return completion.rpartition(THINK_CLOSE)[2].partition(THINK_OPEN)[0]


def _boxes(text: str) -> tuple[list[Box], bool]:
    """The boxes in their order, and whether the last one was cut off. One pass, so that it takes linear time."""
    opened: list[tuple[int, int] | None] = []
    boxes: list[Box] = []
    for match in _MARKS.finditer(text):
        found = match.group()
        if found == "}":
            start = opened.pop() if opened else None
            if start is not None and (not boxes or start[0] > boxes[-1].start):
                boxes.append(Box(start[0], match.end(), text[start[1] : match.start()].strip()))
        elif match["braced"]:
            opened.append((match.start(), match.end()))
        elif match["bare"]:
            boxes += _bare(text, match.start(), match.end())
        elif found == "{":
            opened.append(None)
    unclosed = max((start[0] for start in opened if start is not None), default=-1)
    is_cut = bool(_CUT.search(text[-200:].rstrip() if len(text) > 200 else text)) or unclosed > max(
        (box.start for box in boxes), default=-1
    )
    return [box for box in boxes if not _MENTION.fullmatch(box.content)], is_cut


def _bare(text: str, start: int, end: int) -> list[Box]:
    r"""The box of a `\boxed` without braces: the formula that follows on the line, if one follows."""
    limit = end + _LONGEST_FORMULA
    stop = _FORMULA_END.search(text, end, limit)
    formula = text[end : stop.start() if stop else limit].strip(" \t.")
    if not _BARE_START.match(formula):
        return []
    if not _PROSE.search(_TEXTUAL.sub("", formula)):
        return [Box(start, stop.start() if stop else min(limit, len(text)), formula)]
    token = _BARE_TOKEN.match(text, end, limit)
    return [] if token is None else [Box(start, token.end(), token[1])]


def _together(text: str, boxes: list[Box]) -> str:
    """The last box, with those that stand directly before it and are parts of the same answer."""
    run = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        between = text[box.end : run[0].start]
        if not 0 <= run[0].start - box.end <= _BETWEEN or _RETRACTION.search(between):
            break
        run.insert(0, box)
    contents = list(dict.fromkeys(box.content for box in run))
    return contents[0] if len(contents) == 1 else ", ".join(f"\\boxed{{{content}}}" for content in contents)


def _said_last(text: str) -> str | None:
    said = _last(_SAID, text, 0)
    if said and (sentence := _SENTENCE.match(text, said.end())):
        rest = sentence[1].strip(_EDGES)
        if rest:
            formula = _MATHS.search(rest)
            return _content(formula) if formula else _unboxed(rest)
    formula, boxes = _last(_MATHS, text, 0), _boxes(text)[0]
    if not (formula or boxes) and len(words := text.split()) == 1:
        return words[0].rstrip(".,;:?*_").lstrip("*_") or None
    start, end = (boxes[-1].start, boxes[-1].end) if boxes else (0, 0)
    behind = max(end, formula.end() if formula else 0)
    number = _last(_NUMBER, text, behind)
    if chosen := _last(_CHOSEN, text, number.end() if number else behind):
        return chosen[1]
    if number:
        return number.group()
    if boxes and (formula is None or start >= formula.start()):
        return boxes[-1].content
    return _content(formula) if formula else None


def _last(pattern: re.Pattern[str], text: str, start: int) -> re.Match[str] | None:
    found = deque(pattern.finditer(text, start), maxlen=1)
    return found[0] if found else None


def _content(formula: re.Match[str]) -> str:
    return _unboxed(next(group for group in formula.groups() if group is not None).strip().rstrip(".,"))


def _unboxed(text: str) -> str:
    boxes, _ = _boxes(text)
    return boxes[-1].content if boxes else text
