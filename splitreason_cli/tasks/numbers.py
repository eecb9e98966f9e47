"""Numbers as they are written, exactly: integers, decimals, fractions, and numerals of another base."""

import re
from dataclasses import dataclass
from fractions import Fraction

from .notation import SPACE, TEXT, as_latex, in_ascii, unframed

_INTEGER = re.compile(r"([+\-\u2212]?)\s*([0-9]{1,3}(?:(?:,|\{,\}|,?\\[,!])[0-9]{3})+|[0-9]+)")
_DECIMAL = re.compile(
    r"([+\-]?)(\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)(?:(?:\\times|\\cdot)10\^(?:\{([+\-]?\d+)\}|(\d)))?"
)
_POWER = re.compile(r"([+\-]?)10\^(?:\{([+\-]?\d+)\}|(\d))")
_SCIENTIFIC = re.compile(r"([+\-]?(?:\d+(?:\.\d*)?|\.\d+))[eE]([+\-]?\d+)")
_FRACTION = re.compile(
    r"([+\-]?)(?:(?P<whole>\d*)\\[dt]?frac(?:\{(?P<over>[+\-]?\d+)\}|(?P<digit>\d))(?:\{(?P<under>\d+)\}|(?P<unit>\d))"
    r"|(?P<above>\d+)/(?P<below>\d+))"
)
_LISTED = re.compile(r",\s")
_PERCENT = re.compile(r"(.*\S)\s*(?:\\?%|per\s?cent|\\(?:text|mathrm)\s?\{\s*(?:\\?%|per\s?cent)\s*\})")
_MOST_DIGITS = 4000
_NUMERAL = re.compile(
    r"\(?\s*([0-9A-Za-z]+(?:\.[0-9A-Za-z]+)?)\s*\)?\s*"
    r"(?:_\s*(?:\{\s*\(?\s*(?:base\s*)?([0-9]{1,2}|[a-z]+)\s*\)?\s*\}|([0-9]{1,2}))|\(?(?:in\s*)?base[\s\-]*([0-9]{1,2}|[a-z]+)\)?)",
    re.IGNORECASE,
)
_BASES = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
)


@dataclass(frozen=True)
class Numeral:
    """Digits, in upper case and without leading zeros, and the base that was written beside them."""

    digits: str
    base: int


def integer_of(answer: str) -> str | None:
    r"""The integer that an answer is, such as `-1024` for `$-01{,}024$` or `\text{-1,024}.`; None if it is none.

    It stays text, as Python refuses to convert more than 4,300 digits.
    """
    if answer.isascii() and answer.isdigit():
        return answer.lstrip("0") or "0"
    match = _INTEGER.fullmatch(unframed(answer))
    if match is None:
        return None
    digits = re.sub(r"[^0-9]", "", match[2]).lstrip("0") or "0"
    return digits if match[1] in ("", "+") or digits == "0" else "-" + digits


def number_of(answer: str) -> Fraction | None:
    r"""The number that an answer writes without a symbol or an operation, such as 5/2 for `2\frac12` or `2.50`.

    None for anything else, and for numbers of thousands of digits, which would take long.
    """
    if len(answer) > _MOST_DIGITS:
        return None
    if match := _SCIENTIFIC.fullmatch(unframed(answer)):
        return _scaled(Fraction(match[1]), match[2])
    if _LISTED.search(answer):
        return None
    text = SPACE.sub("", as_latex(answer)).replace("{,}", "").replace("\\!", "")
    if match := _POWER.fullmatch(text):
        return _scaled(_sign(match), match[2] or match[3])
    if match := _DECIMAL.fullmatch(text):
        return _scaled(_sign(match) * Fraction(match[2].replace(",", "").rstrip(".")), match[3] or match[4] or "0")
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    over = int(match["over"] or match["digit"] or match["above"])
    under = int(match["under"] or match["unit"] or match["below"])
    return _sign(match) * (int(match["whole"] or 0) + Fraction(over, under)) if under else None


def percentage_of(answer: str) -> Fraction | None:
    r"""The number before the sign or the word of percent, such as 12.5 for `12.5\%`; None where there is none."""
    match = _PERCENT.fullmatch(unframed(answer))
    return None if match is None else number_of(match[1])


def numeral_of(answer: str) -> Numeral | None:
    r"""The numeral and base of `2516_8`, `2516_{\text{eight}}` or `2516 (base 8)`; None where no base is written."""
    answer = re.sub(r"\{,\}|\\[,!]", "", answer)
    match = _NUMERAL.fullmatch(TEXT.sub(r"\1", SPACE.sub(" ", in_ascii(unframed(answer)))).strip())
    if match is None:
        return None
    name = (match[2] or match[3] or match[4]).lower()
    base = int(name) if name.isdigit() else _BASES.index(name) + 2 if name in _BASES else 0
    digits = match[1].upper()
    if not 2 <= base <= 36 or any(int(digit, 36) >= base for digit in digits.replace(".", "")):
        return None
    return Numeral(digits.lstrip("0") or "0", base)


def _sign(match: re.Match[str]) -> Fraction:
    return Fraction(-1 if match[1] == "-" else 1)


def _scaled(value: Fraction, exponent: str) -> Fraction | None:
    return value * Fraction(10) ** int(exponent) if abs(int(exponent)) <= _MOST_DIGITS else None
