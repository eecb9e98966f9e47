"""What a trace would teach wrongly, whatever is made of it."""

import re
from collections.abc import Mapping

from . import markup, scaffold
from .data import AnnotatedTrace, Trace

ENDS_OF_CUT = ("length", "max_tokens", "max_length", "model_length", "max_output_tokens")
"""Why a generation ended that was cut, as others call it, in lower case."""
FINISHES = ("finish_reason", "finish_reasons", "stop_reason", "stop_reasons", "done_reason")
"""Columns that say why a generation ended."""
TRUNCATED = ("truncated", "is_truncated")
"""Columns that say whether it was cut."""
CUT_COLUMNS = ("is_reasoning_complete", *FINISHES, *TRUNCATED)

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_NOTHING = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*\}|\\[ ,;:!]|[\s{}$~])*")
_CUT = re.compile(r"(?:[,\[{=^<]|(?<!:)\(|(?<=\s)[+*/\\]|(?<![\w.'])(?:the|and|or|because|whose|than|into))\s*\Z")
"""What no text ends with; Markdown, C++ and a sentence without its full stop do not match."""
_DISPLAY = {r"\[": r"\]", r"\(": r"\)"}


def why_wrong_lesson(trace: Trace | AnnotatedTrace) -> str | None:
    """The mark or the cut that would be taught along with a trace, or None."""
    if mark := scaffold.find_turn(trace.problem):
        return f"field 'problem' contains {mark}, so that it is a whole prompt. Give what the user said alone"
    for name, text in (("reasoning", trace.reasoning), ("response", trace.response), ("answer", trace.answer)):
        if mark := scaffold.find_mark(text, thinking=name == "reasoning"):
            return f"field '{name}' contains {mark}. Give what stands between the marks of the thinking, or behind them"
        if name != "reasoning" and (tag := markup.contains_tag(text)):
            return f"field '{name}' contains the tag {tag}. Give the plain text"
    if reason := why_cut(trace.reasoning, trace.response, trace.extra):
        return f"the generation was cut: {reason}. Give whole ones"
    return None


def why_unanswered(answer: str, response: str) -> str | None:
    r"""What keeps anything but an empty box from standing after the thinking, or None."""
    if not response.strip():
        empty = not answer.strip() or ends_in_empty_box(answer)
        return "there is neither an answer nor a response" if empty else None
    return r"the response ends in an empty \boxed{}" if ends_in_empty_box(response) else None


def ends_in_empty_box(text: str) -> bool:
    r"""Whether the last `\boxed{...}` of a text holds nothing."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return False
    start = boxes[-1].end()
    end = _closing_brace(text, start)
    return _NOTHING.fullmatch(text, start, end) is not None


def why_cut(reasoning: str, response: str, columns: Mapping[str, object]) -> str | None:
    """What shows that a generation was cut before it ended, or None; `columns` are further ones of the trace."""
    if said := said_cut(columns):
        return said
    if response.strip():
        # Whoever responded had ended the thinking.
        return None
    if match := _CUT.search(reasoning):
        return f"it ends with {match.group().strip()!r}"
    for opening, closing in _DISPLAY.items():
        if reasoning.rfind(opening) > reasoning.rfind(closing):
            return f"its last {opening} is never closed"
    return None


def said_cut(columns: Mapping[str, object], number: int | None = None) -> str | None:
    """What a column says of a generation that was cut, or None. `number` picks it where a column speaks of several."""
    for name in CUT_COLUMNS:
        value = columns.get(name)
        if isinstance(value, list):
            at = 0 if number is None and len(value) == 1 else number
            value = value[at] if at is not None and at < len(value) else None
        if _means_cut(name, value):
            return f"its {name} is {str(value).lower()}"
    return None


def _means_cut(name: str, value: object) -> bool:
    if name in FINISHES:
        return isinstance(value, str) and value.lower() in ENDS_OF_CUT
    return value is (name in TRUNCATED)


def _closing_brace(text: str, start: int) -> int:
    """Where the group that is open at `start` closes, or the text's end."""
    depth = 1
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if not depth:
            return match.start()
    return len(text)
