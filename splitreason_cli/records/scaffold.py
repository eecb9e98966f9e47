"""Marks of chat templates and reasoning models that have no place inside a text to learn from.

A mark is what some family's tokenizer or template writes around turns and thoughts. Generic patterns catch whole
families; words in plain angle brackets are marks only where no prose, maths or code writes them.
"""

import re
from collections.abc import Mapping

from . import markup

_WORDS = (
    "user|assistant|system|tool|human|bot|start|end|eot|eos|bos|eom|pad|message|channel|return|call|constrain|think|turn"
    "|observation|endoftext|endofprompt|endofturn|thought|answer|sep|unk"
)
_MARK = re.compile(
    r"(?i:</?(?:[a-z]+[:_])?think(?:ing)?>|</?thought>|</?reasoning>"
    rf"|<\|/?(?:{_WORDS}|[a-z]{{2,}}[0-9]*(?:_[a-z]{{2,}}|_[0-9]{{2,}})+(?:_[0-9]+)?)\|>"  # ChatML, Llama, Phi, gpt-oss
    rf"|<\|(?:{_WORDS})>|<(?:{_WORDS})\|>"  # Gemma 4
    r"|<(?:start|end)_of_(?:turn|image|role)>)"  # Gemma 3, Granite
    r"|<｜[^｜<>\n]{1,40}｜>|<\[[a-z]+(?:▁[a-z]+)+\]>|◁/?[a-z_]+▷"  # DeepSeek, Seed, Kimi
    r"|\[/?(?:INST|THINK|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>"  # Mistral, Llama 2
)
_TURN = re.compile(
    r"<\|(?:im_start|im_end|start_header_id|eot_id|begin_of_text|endoftext|user|assistant|system)\|>"
    r"|<(?:start|end)_of_turn>|<｜[^｜<>\n]{1,40}｜>|\[/?INST\]|<</?SYS>>"
)
_AT_ENDS = re.compile(r"\A\s*(<s>)|(</s>)\s*\Z")
"""Elsewhere these are struck-out text in HTML."""
_ANSWER = re.compile(r"^[ \t]*</?answer>|</?answer>[ \t]*$", re.MULTILINE)

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_NOTHING = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*\}|\\[ ,;:!]|[\s{}$~])*")
_CUT = re.compile(r"(?:[,\[{=^<]|(?<!:)\(|(?<=\s)[+*/\\]|(?<![\w.'])(?:the|and|or|because|whose|than|into))\s*\Z")
"""What no text ends with; Markdown, C++ and a sentence without its full stop do not match."""
_CUT_COLUMNS: dict[str, tuple[str | bool, ...]] = {
    "is_reasoning_complete": (False,),
    "finish_reason": ("length", "max_tokens"),
    "finish_reasons": ("length", "max_tokens"),
}
"""What data sets say of a generation that was cut."""
_DISPLAY = {r"\[": r"\]", r"\(": r"\)"}


def find_mark(text: str, *, thinking: bool = False) -> str | None:
    """The first mark in `text`; of thinking, also an answer's frame, which a response may have."""
    found = [match for match in (_MARK.search(text), _AT_ENDS.search(text)) if match]
    found += [match for match in [_ANSWER.search(text)] if match and thinking]
    return min(found, key=lambda match: match.start()).group().strip() if found else None


def find_turn(problem: str) -> str | None:
    """The first mark of a chat template in a problem, which then is a whole prompt. It may name marks of thinking."""
    match = _TURN.search(problem)
    return match.group() if match else None


def ends_in_empty_box(text: str) -> bool:
    r"""Whether the last `\boxed{...}` of a text holds nothing."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return False
    start = boxes[-1].end()
    end = _closing_brace(text, start)
    return _NOTHING.fullmatch(text, start, end) is not None


def why_cut(reasoning: str, response: str, columns: Mapping[str, object]) -> str | None:
    """What shows that a generation was cut before it ended, or None.

    Args:
        columns: further ones of the trace; `is_reasoning_complete` and `finish_reason` are read.
    """
    for name, cut in _CUT_COLUMNS.items():
        value = columns.get(name)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(value, str | bool) and value in cut:
            return f"its {name} is {str(value).lower()}"
    if response.strip():
        # Whoever responded had ended the thinking.
        return None
    if match := _CUT.search(reasoning):
        return f"it ends with {match.group().strip()!r}"
    for opening, closing in _DISPLAY.items():
        if reasoning.rfind(opening) > reasoning.rfind(closing):
            return f"its last {opening} is never closed"
    return None


def why_mismatched(opening: str, trained: str) -> str | None:
    """What is wrong with the marks of the thinking in a training text, or None: they must open it once and close it.

    Args:
        opening: what the chat template writes between the question and the model's own text.
        trained: all that stands behind the question in training.
    """
    for one, other, _ in markup.THOUGHTS[1:]:
        if opening.rfind(one) > opening.rfind(other):
            return (
                f"the chat template opens the thinking with {one}, the completion closes it with {markup.THINK_CLOSE}"
            )
    if markup.THINK_CLOSE in opening:
        return f"the chat template closes the thinking with {markup.THINK_CLOSE} before the completion begins"
    opened, closed = trained.count(markup.THINK_OPEN), trained.count(markup.THINK_CLOSE)
    if not opened:
        return f"neither the chat template nor the completion opens the thinking with {markup.THINK_OPEN}"
    if opened > 1:
        return (
            f"the thinking is opened {opened} times with {markup.THINK_OPEN}, by the chat template and the completion"
        )
    return None if closed == 1 else f"the thinking is closed {closed} times with {markup.THINK_CLOSE}"


def _closing_brace(text: str, start: int) -> int:
    """Where the group that is open at `start` closes, or the text's end."""
    depth = 1
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if not depth:
            return match.start()
    return len(text)
