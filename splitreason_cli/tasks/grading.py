"""Is the answer right? One grader for rewards and benchmarks."""

import logging
import re
from dataclasses import dataclass
from functools import lru_cache

from .extraction import boxed_answer

LIBRARIES = ("math-verify", "sympy")
"""What decides a verdict beside this file."""

_INTEGER = re.compile(r"([+\-\u2212]?)\s*([0-9]{1,3}(?:(?:,|\{,\}|,?\\[,!])[0-9]{3})+|[0-9]+)")
_WRAPPERS = (
    *(("\\" + name + "{", "}") for name in ("text", "textbf", "textrm", "mathrm", "mathbf", "mbox")),
    ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("{", "}"),
)  # fmt: skip
_MOST_WRAPPERS = 8
_LAYOUT = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:! ]|[\s$]+")
_FRACTION = re.compile(r"\\[dt]frac(?![A-Za-z])")

UNREADABLE_GOLD = "the gold answer cannot be read as mathematics"


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right. Where that is not known `correct` is None and `reason` says why."""

    correct: bool | None
    reason: str = ""


def integer_of(answer: str) -> str | None:
    r"""The integer that an answer is, such as `-1024` for `$-01{,}024$` or `\text{-1,024}.`; None if it is none.

    It stays text, as Python refuses to convert more than 4,300 digits.
    """
    match = _INTEGER.fullmatch(_unwrapped(answer))
    if match is None:
        return None
    digits = re.sub(r"[^0-9]", "", match[2]).lstrip("0") or "0"
    return digits if match[1] in ("", "+") or digits == "0" else "-" + digits


def normalized(answer: str) -> str:
    """The answer without what changes only its looks, to count how often it was given; not a proof of equality."""
    return integer_of(answer) or _FRACTION.sub(r"\\frac", _LAYOUT.sub("", _unwrapped(answer)))


def integer_verdict(answer: str | None, gold: str) -> bool | None:
    """The verdict where integers alone decide it; None where it takes mathematics (`mathematical_verdict`)."""
    integer = integer_of(gold)
    if integer is None:
        return None
    if not answer:
        return False
    given = integer_of(answer)
    return None if given is None else given == integer


def mathematical_verdict(answer: str | None, gold: str) -> Verdict:
    """What math-verify says. It may take forever on a hostile answer, or all memory: see `tasks.grader`.

    Whatever it raises leaves the answer without a verdict.
    """
    try:
        correct = _equal(answer, gold)
    except Exception as error:  # noqa: BLE001
        return Verdict(None, f"math-verify failed with {type(error).__name__}: {str(error)[:200]}".splitlines()[0])
    return Verdict(correct, "" if correct is not None else UNREADABLE_GOLD)


def is_correct(completion: str, gold: str) -> bool | None:
    """Whether the completion's boxed answer equals `gold`.

    Integers are compared as numbers, so 034 equals 34; everything else goes to math-verify. None if `gold` cannot be
    read as mathematics, because then no verdict exists. Errors of the grader are raised, never scored as wrong.
    """
    answer = boxed_answer(completion)
    verdict = integer_verdict(answer, gold)
    return _equal(answer, gold) if verdict is None else verdict


def _equal(answer: str | None, gold: str) -> bool | None:
    from math_verify import parse, verify

    # The library's own time-out is a signal handler, which works in the main thread only; it warns when it is off.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    parsed_gold = _parsed_gold(gold)
    if not parsed_gold:
        return None
    if answer is None:
        return False
    parsed = parse(f"$\\boxed{{{answer}}}$", parsing_timeout=None, raise_on_error=True)
    return bool(verify(parsed_gold, parsed, timeout_seconds=None, raise_on_error=True))


@lru_cache(maxsize=1024)
def _parsed_gold(gold: str) -> list[object]:
    from math_verify import parse

    parsed: list[object] = parse(f"${gold}$", parsing_timeout=None, raise_on_error=True)
    return parsed


def _unwrapped(answer: str) -> str:
    """The answer without a final full stop, math delimiters, fonts and braces around all of it, up to 8 layers."""
    text = answer.strip().rstrip(".")
    for _ in range(_MOST_WRAPPERS):
        for start, end in _WRAPPERS:
            if text.startswith(start) and text.endswith(end) and len(text) >= len(start) + len(end):
                text = text[len(start) : -len(end)].strip().rstrip(".")
                break
        else:
            break
    return text
