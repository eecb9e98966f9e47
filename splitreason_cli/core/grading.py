"""Is the answer right? One grader for rewards and benchmarks."""

import logging
import re

from .markup import THINK_CLOSE

_INTEGER = re.compile(r"[+-]?\d+")


def boxed_answer(completion: str) -> str | None:
    r"""The content of the last complete `\boxed{...}` after the reasoning; None if there is none.

    Where the reasoning was never closed, the whole completion is searched.
    """
    _, _, text = completion.rpartition(THINK_CLOSE)
    end = len(text)
    while (start := text.rfind(r"\boxed{", 0, end)) >= 0:
        content = _balanced(text, start + len(r"\boxed{"))
        if content is not None:
            return content.strip()
        end = start
    return None


def is_correct(completion: str, gold: str) -> bool | None:
    """Whether the completion's boxed answer equals `gold`.

    Integers are compared as numbers, so 034 equals 34; everything else goes to math-verify. None if `gold` cannot be
    read as mathematics, because then no verdict exists. Errors of the grader are raised, never scored as wrong.
    """
    answer = boxed_answer(completion)
    if _INTEGER.fullmatch(gold.strip()):
        if answer is None:
            return False
        if _INTEGER.fullmatch(answer):
            return int(answer) == int(gold)
    from math_verify import parse, verify

    # The library's own time-out is a signal handler, which works in the main thread only; it warns when it is off.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    parsed_gold = parse(f"${gold}$", parsing_timeout=None, raise_on_error=True)
    if not parsed_gold:
        return None
    if answer is None:
        return False
    parsed = parse(f"$\\boxed{{{answer}}}$", parsing_timeout=None, raise_on_error=True)
    return bool(verify(parsed_gold, parsed, timeout_seconds=None, raise_on_error=True))


def _balanced(text: str, start: int) -> str | None:
    depth = 1
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return text[start:index]
    return None
