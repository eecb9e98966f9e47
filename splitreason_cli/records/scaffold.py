"""Marks of chat templates and reasoning models that have no place inside a text to learn from.

A mark is what some family's tokenizer or template writes around turns and thoughts. Generic patterns catch whole
families; words in plain angle brackets are marks only where no prose, maths or code writes them.
"""

import re
from collections.abc import Mapping

from . import markup

THOUGHTS = (
    (markup.THINK_OPEN, markup.THINK_CLOSE),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
)
"""What opens and closes the thinking, by family."""

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
_AT_ENDS = re.compile(r"\A\s*(<s>)|(</s>)\s*\Z")
"""Elsewhere these are struck-out text in HTML."""
_ANSWER = re.compile(r"^[ \t]*</?answer>|</?answer>[ \t]*$", re.MULTILINE)

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_NOTHING = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*\}|\\[ ,;:!]|[\s{}$~])*")
_CUT = re.compile(
    r"(?:[,(\[{=+*/^_\\<]|(?<![\w.'])(?:the|a|an|of|and|or|to|from|than|into|because|which|whose|where|if))\s*\Z"
)
_DISPLAY = {r"\[": r"\]", r"\(": r"\)"}


def find_mark(text: str, *, thinking: bool = False) -> str | None:
    """The first mark in `text`; of thinking, also an answer's frame, which a response may have."""
    found = [match for match in (_MARK.search(text), _AT_ENDS.search(text)) if match]
    found += [match for match in [_ANSWER.search(text)] if match and thinking]
    return min(found, key=lambda match: match.start()).group().strip() if found else None


def is_unclosed(generation: str) -> bool:
    """Whether the thinking in a generation was opened, by any family's mark, and never closed."""
    return any(opening in generation and closing not in generation for opening, closing in THOUGHTS)


def ends_in_empty_box(text: str) -> bool:
    r"""Whether the last `\boxed{...}` of a text holds nothing."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return False
    start = boxes[-1].end()
    end = _closing_brace(text, start)
    return _NOTHING.fullmatch(text, start, end) is not None


def why_cut(reasoning: str, response: str, columns: Mapping[str, object]) -> str | None:
    """What shows that a trace's thinking was cut before it ended, or None.

    Args:
        columns: further ones of the trace; `is_reasoning_complete` and `finish_reason` are read.
    """
    if columns.get("is_reasoning_complete") is False:
        return "is_reasoning_complete is false"
    if columns.get("finish_reason") in ("length", "max_tokens"):
        return f"its finish_reason is {columns['finish_reason']}"
    if response.strip():
        # Whoever responded had ended the thinking.
        return None
    if match := _CUT.search(reasoning):
        return f"it ends with {match.group().strip()!r}"
    for opening, closing in _DISPLAY.items():
        if reasoning.rfind(opening) > reasoning.rfind(closing):
            return f"its last {opening} is never closed"
    return None


def why_mismatched(prompt_end: str, completed: str) -> str | None:
    """What is wrong with the thinking of `completed` behind the end of its rendered prompt, or None.

    Together they must open the thinking once and then close it.
    """
    for opening, closing in THOUGHTS[1:]:
        if prompt_end.rfind(opening) > prompt_end.rfind(closing):
            return (
                f"the chat template opens the thinking with {opening}, the completion closes it with {THOUGHTS[0][1]}"
            )
    text = prompt_end + completed
    opened, closed = text.count(markup.THINK_OPEN), text.count(markup.THINK_CLOSE)
    if markup.THINK_CLOSE in prompt_end:
        return f"the chat template has closed the thinking with {markup.THINK_CLOSE} before the completion begins"
    if not opened:
        return f"neither the chat template nor the completion opens the thinking with {markup.THINK_OPEN}"
    if opened > 1:
        return (
            f"the thinking is opened {opened} times with {markup.THINK_OPEN}, by the chat template and the completion"
        )
    if closed != 1:
        return f"the thinking is closed {closed} times with {markup.THINK_CLOSE}"
    return None


def _closing_brace(text: str, start: int) -> int:
    """Where the group that is open at `start` closes, or the text's end."""
    depth = 1
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if not depth:
            return match.start()
    return len(text)
