"""Marks of chat templates and reasoning models, which have no place inside a text to learn from.

A mark is what some family's tokenizer or template writes around turns and thoughts. Generic patterns catch whole
families; words in plain angle brackets are marks only where no prose, maths or code writes them.
"""

import re

from .markup import THINK_CLOSE, THINK_OPEN

_ANSWER_TAG = re.compile(r"</?answer>")

THOUGHTS = (
    (THINK_OPEN, THINK_CLOSE, _ANSWER_TAG),
    ("<|begin_of_thought|>", "<|end_of_thought|>", re.compile(r"<\|(?:begin|end)_of_solution\|>")),
    ("<thinking>", "</thinking>", _ANSWER_TAG),
    ("<thought>", "</thought>", _ANSWER_TAG),
    ("<Thought>", "</Thought>", re.compile(r"</?Output>")),
    ("<reasoning>", "</reasoning>", _ANSWER_TAG),
    ("<seed:think>", "</seed:think>", _ANSWER_TAG),
    ("[THINK]", "[/THINK]", _ANSWER_TAG),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7", _ANSWER_TAG),
    (
        "<|channel|>analysis<|message|>",
        "<|end|>",
        re.compile(r"<\|start\|>assistant|<\|channel\|>final<\|message\|>|<\|(?:return|end)\|>"),
    ),
)
"""Of each family what opens and closes the thinking, and what frames the response."""

THOUGHT_MARKS = tuple(mark for opening, closing, _ in THOUGHTS for mark in (opening, closing))

_WORDS = (
    "user|assistant|system|tool|human|bot|start|end|eot|eos|bos|eom|pad|message|channel|return|call|constrain|think|turn"
    "|observation|endoftext|endofprompt|endofturn|thought|answer|sep|unk"
)
_MARK = re.compile(
    rf"{'|'.join(map(re.escape, THOUGHT_MARKS))}"
    r"|(?i:</?(?:[a-z]+[:_])?think(?:ing)?>|</?thought>|</?reasoning>"
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


def marks_thinking(text: object) -> bool:
    """Whether something marks the thinking in a text."""
    return isinstance(text, str) and any(mark in text for mark in THOUGHT_MARKS)


def split_thinking(generation: str) -> tuple[str, str]:
    """What a model thought and what it responded, without the scaffold and the white space around both.

    A text without a scaffold, and one whose thinking never ends, is all thought.
    """
    for opening, closing, frame in THOUGHTS:
        if opening in generation or closing in generation:
            thought, _, response = generation.partition(closing)
            return thought.replace(opening, "", 1).strip(), frame.sub("", response).strip()
    return generation.strip(), ""


def find_mark(text: str, *, thinking: bool = False) -> str | None:
    """The first mark in `text`; of thinking, also an answer's frame, which a response may have."""
    found = [match for match in (_MARK.search(text), _AT_ENDS.search(text)) if match]
    found += [match for match in [_ANSWER.search(text)] if match and thinking]
    return min(found, key=lambda match: match.start()).group().strip() if found else None


def find_turn(problem: str) -> str | None:
    """The first mark of a chat template in a problem, which then is a whole prompt. It may name marks of thinking."""
    match = _TURN.search(problem)
    return match.group() if match else None


def why_mismatched(opening: str, trained: str) -> str | None:
    """What is wrong with the marks of the thinking in a training text, or None: they must open it once and close it.

    Args:
        opening: what the chat template writes between the question and the model's own text.
        trained: all that stands behind the question in training.
    """
    for one, other, _ in THOUGHTS[1:]:
        if opening.rfind(one) > opening.rfind(other):
            return f"the chat template opens the thinking with {one}, the completion closes it with {THINK_CLOSE}"
    if THINK_CLOSE in opening:
        return f"the chat template closes the thinking with {THINK_CLOSE} before the completion begins"
    opened, closed = trained.count(THINK_OPEN), trained.count(THINK_CLOSE)
    if not opened:
        return f"neither the chat template nor the completion opens the thinking with {THINK_OPEN}"
    if opened > 1:
        return f"the thinking is opened {opened} times with {THINK_OPEN}, by the chat template and the completion"
    return None if closed == 1 else f"the thinking is closed {closed} times with {THINK_CLOSE}"
