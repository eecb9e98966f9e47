"""Is the answer right? One grader for rewards and benchmarks.

What the right answer is, a number, a text, a choice, says how others are compared with it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..records.extraction import answer_in, parts_of_run
from .expressions import equal
from .gold import GAP, Kind, answer_of, choice_of, clock_of, kind_of, ratio_of, stretches_of, text_of
from .notation import SPACE, TEXT, as_latex, parts_of, unframed
from .numbers import integer_of, number_of, numeral_of, percentage_of
from .units import Measure, measure_of

LIBRARIES = ("math-verify", "sympy")
"""What decides a verdict beside this package."""

UNREADABLE_GOLD = "the gold answer cannot be read as mathematics"
NO_GOLD = "the gold answer says that there is none"

_MOST_CHARACTERS = 2000
"""Of an answer and the right one that are looked at outside of a process that can be killed."""

_ANNOUNCED = re.compile(r"\A\s*(?:the\s+)?(?:final\s+)?answer\s*(?:is\b|[:=])\s*", re.IGNORECASE)
_ASSIGNED = re.compile(r"\A[A-Za-z](?:_(?:\w|\{\w+\}))?=(?=[^=]+\Z)")
_SET = re.compile(r"\\\{(?:(?!\\mid|\\vert|\\in|[|:<>()]).)*,.*\\\}")
_TUPLE = re.compile(r"[(\[][^()\[\]]*,[^()\[\]]*[)\]]")
_LETTERS = re.compile(r"[A-J]{2,10}")
_LAYOUT = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:! ]|[\s$]+")
_APART = re.compile(r"(?<=\d)\s+(?=\d)")
_FRACTION = re.compile(r"\\[dt]frac(?![A-Za-z])")


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right. Where that is not known `correct` is None and `reason` says why."""

    correct: bool | None
    reason: str = ""


def normalized(answer: str) -> str:
    """The answer without what changes only its looks, to count how often it was given; not a proof of equality."""
    return integer_of(answer) or _looks(answer)


def quick_verdict(answer: str | None, gold: str) -> bool | None:
    """The verdict where looking at both decides it; None where it takes `mathematical_verdict`.

    Numbers, numerals of a base, choices, times and texts are decided so, and an answer that reads as `gold` does.
    """
    if answer and (integer := integer_of(answer)) and (expected := integer_of(gold)):
        return integer == expected
    if len(answer or "") + len(gold) > _MOST_CHARACTERS:
        return None
    gold = answer_of(gold)
    kind = kind_of(gold)
    if kind is Kind.NONE:
        return None
    return _decided(_given(answer, gold, kind), gold) if answer else False


def mathematical_verdict(answer: str | None, gold: str) -> Verdict:
    """The verdict on any answer. math-verify may take forever on a hostile one, or all memory: see `tasks.grader`.

    Where `gold` is none, cannot be read, or math-verify raises something, there is no verdict but a reason.
    """
    gold = answer_of(gold)
    if kind_of(gold) is Kind.NONE:
        return Verdict(None, f"{NO_GOLD}: {gold[:80]!r}")
    try:
        correct = _verdict(answer, gold)
    except Exception as error:  # noqa: BLE001
        return Verdict(None, f"math-verify failed with {type(error).__name__}: {str(error)[:200]}".splitlines()[0])
    return Verdict(correct, "" if correct is not None else UNREADABLE_GOLD)


def is_correct(completion: str, gold: str) -> bool | None:
    """Whether the completion's boxed answer equals `gold`; None if `gold` is none or cannot be read as mathematics.

    Errors of math-verify are raised, never scored as wrong.
    """
    gold = answer_of(gold)
    return None if kind_of(gold) is Kind.NONE else _verdict(answer_in(completion), gold)


def _verdict(answer: str | None, gold: str) -> bool | None:
    return _equal(_given(answer, gold, kind_of(gold)), gold) if answer else False


def _equal(answer: str, gold: str) -> bool | None:
    """Whether one answer is another, by looks or by mathematics."""
    decided = _decided(answer, gold)
    if decided is not None:
        return decided
    kinds = kind_of(answer), kind_of(gold)
    if Kind.SEQUENCE in kinds:
        return _same_sequence(answer, gold)
    if Kind.RATIO in kinds:
        return _same_ratio(answer, gold)
    choice = choice_of(gold)
    return equal(answer, gold) if choice is None or not choice.beside else _equal(answer, choice.beside)


def _given(answer: str, gold: str, kind: Kind) -> str:
    """What to compare: all boxes where `gold` has several parts, else the last one; without the letter of a choice."""
    boxes = [_ANNOUNCED.sub("", unframed(box)) for box in parts_of_run(GAP.sub(" ", answer))]
    wanted = 2 if r"\pm" in gold else len(gold) if _LETTERS.fullmatch(gold) else sum(map(len, stretches_of(gold)))
    if len(boxes) > 1 and wanted > 1 and len(parts_of(unframed(boxes[-1]))) < wanted:
        return ", ".join(boxes)
    choice = None if kind is Kind.CHOICE else choice_of(boxes[-1])
    return choice.beside if choice and choice.beside else boxes[-1]


def _decided(answer: str, gold: str) -> bool | None:
    """What the kinds of both decide; None where it takes mathematics."""
    one_measure, other_measure = measure_of(answer), measure_of(gold)
    if one_measure and other_measure:
        if not _is_one_unit(one_measure, other_measure):
            return _same_measure(one_measure, other_measure)
        answer, gold = one_measure.amount, other_measure.amount
    elif one_measure and not one_measure.may_be_variable and number_of(gold) is not None:
        answer = one_measure.amount
    elif other_measure and not other_measure.may_be_variable and number_of(answer) is not None:
        gold = other_measure.amount
    looks, expected = _looks(as_latex(answer)), _looks(as_latex(gold))
    if looks == expected or _ASSIGNED.sub("", looks) == expected or looks == _ASSIGNED.sub("", expected):
        return True
    if any(_SET.fullmatch(one) and _TUPLE.fullmatch(other) for one, other in ((looks, expected), (expected, looks))):
        return False
    given, kind = kind_of(answer), kind_of(gold)
    for one in _ORDER:
        if one in (given, kind):
            return _RULES[one](answer, gold)
    return None


def _is_one_unit(one: Measure, other: Measure) -> bool:
    return (one.dimension, one.power, one.size) == (other.dimension, other.power, other.size)


def _same_measure(one: Measure, other: Measure) -> bool:
    """Whether amounts of different units are one; False where that takes mathematics."""
    if (one.dimension, one.power) != (other.dimension, other.power):
        return False
    amount, expected = number_of(one.amount), number_of(other.amount)
    return amount is not None and expected is not None and amount * one.size == expected * other.size


def _same_choice(answer: str, gold: str) -> bool | None:
    one, other = choice_of(answer), choice_of(gold)
    if one and other:
        return one.letter == other.letter
    labelled = one or other
    beside = labelled.beside if labelled else ""
    if not beside:
        return False if Kind.TEXT in (kind_of(answer), kind_of(gold)) else None
    return _decided(beside, gold) if one else _decided(answer, beside)


def _same_text(answer: str, gold: str) -> bool | None:
    one, other = (text_of(text.rpartition("=")[2]) or _plain(text) for text in (answer, gold))
    return one == other


def _same_clock(answer: str, gold: str) -> bool | None:
    one, other = clock_of(answer), clock_of(gold)
    if one is None or other is None:
        hour = one or other
        if hour and ":" not in answer + gold:
            return str(hour[0]) in (integer_of(answer), integer_of(gold))
        return _same_terms(answer, gold) or False
    if one[:3] == other[:3]:
        return one[3] == other[3] or not one[3] or not other[3]
    return bool(one[3]) != bool(other[3]) and _time_of_day(one) == _time_of_day(other)


def _time_of_day(clock: tuple[int, int, int, str]) -> tuple[int, int, int]:
    hours, minutes, seconds, half = clock
    return (hours % 12 + 12 * (half == "p") if half else hours), minutes, seconds


def _same_numeral(answer: str, gold: str) -> bool | None:
    one, other = numeral_of(answer.rpartition("=")[2]), numeral_of(gold.rpartition("=")[2])
    if one and other:
        return one == other
    numeral, plain = (one, gold) if one else (other, answer)
    return numeral is not None and (integer_of(plain) or _plain(plain).upper().lstrip("0")) == numeral.digits


def _same_terms(answer: str, gold: str) -> bool | None:
    """Whether two ratios of plain numbers are one; a number is a ratio to one. None where it takes mathematics."""
    one, other = _terms(answer), _terms(gold)
    if len(one) != len(other):
        return False
    values, others = [number_of(term) for term in one], [number_of(term) for term in other]
    if None in values or None in others:
        return None
    return all(_cross(values, others, n) for n in range(1, len(one)))


def _cross(one: Sequence[object], other: Sequence[object], n: int) -> bool:
    return one[0] * other[n] == other[0] * one[n] and (one[n] == 0) == (other[n] == 0)  # type: ignore[operator]


def _terms(text: str) -> list[str]:
    return ratio_of(text) or [text, "1"]


def _same_number(answer: str, gold: str) -> bool | None:
    one, other = integer_of(answer), integer_of(gold)
    if one is not None and other is not None:
        return one == other
    value, expected = number_of(answer), number_of(gold)
    return None if value is None or expected is None else value == expected


def _same_percentage(answer: str, gold: str) -> bool | None:
    """Whether 12.5 % is 12.5, 0.125 or 1/8. The sign may be left out, but is not added to a share such as 0.5."""
    one, other = percentage_of(answer), percentage_of(gold)
    if one is not None and other is not None:
        return one == other
    value = number_of(answer) if one is None else number_of(gold)
    if value is None:
        return None
    if one is None:
        return other is not None and value in (other, other / 100)
    return one == 100 * value or (one == value and abs(value) > 1)


def _same_sequence(answer: str, gold: str) -> bool | None:
    """Whether two enumerations have the same terms in the same order, and leave out terms at the same places."""
    one, other = stretches_of(answer), stretches_of(gold)
    if [len(stretch) for stretch in one] != [len(stretch) for stretch in other]:
        return False
    pairs = [pair for stretches in zip(one, other, strict=True) for pair in zip(*stretches, strict=True)]
    return all(_equal(term, expected) for term, expected in pairs)


def _same_ratio(answer: str, gold: str) -> bool | None:
    one, other = _terms(answer), _terms(gold)
    if len(one) != len(other):
        return False
    quotients = [[rf"\frac{{{terms[0]}}}{{{term}}}" for term in terms[1:]] for terms in (one, other)]
    return all(equal(value, expected) for value, expected in zip(*quotients, strict=True))


def _looks(answer: str) -> str:
    return _FRACTION.sub(r"\\frac", _LAYOUT.sub("", _APART.sub("~", unframed(answer))))


def _plain(text: str) -> str:
    return SPACE.sub("", TEXT.sub(r"\1", unframed(text))).casefold()


_RULES: Mapping[Kind, Callable[[str, str], bool | None]] = {
    Kind.NUMERAL: _same_numeral,
    Kind.CHOICE: _same_choice,
    Kind.CLOCK: _same_clock,
    Kind.TEXT: _same_text,
    Kind.RATIO: _same_terms,
    Kind.PERCENTAGE: _same_percentage,
    Kind.INTEGER: _same_number,
    Kind.NUMBER: _same_number,
}
_ORDER = tuple(_RULES)
"""Where the kinds of two answers differ, the rule of the one that comes first."""
