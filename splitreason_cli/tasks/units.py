"""Units of measure behind an answer: an answer may leave its unit out, but not give another."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from .notation import NO_UNIT, SPACE, TEXT, unframed

_SIZES: Mapping[str, tuple[str, Fraction]] = {
    name: (dimension, Fraction(size))
    for dimension, size, names in (
        ("length", "0.001", "mm millimeter millimetre"),
        ("length", "0.01", "cm centimeter centimetre"),
        ("length", "1", "meter metre"),
        ("length", "1000", "km kilometer kilometre"),
        ("length", "0.0254", "inch inches"),
        ("length", "0.3048", "ft foot feet"),
        ("length", "0.9144", "yd yard"),
        ("length", "1609.344", "mile"),
        ("mass", "0.001", "mg milligram"),
        ("mass", "1", "gram"),
        ("mass", "1000", "kg kilogram"),
        ("time", "1", "sec second"),
        ("time", "60", "min minute"),
        ("time", "3600", "hr hour"),
        ("time", "86400", "day"),
        ("time", "604800", "week"),
        ("volume", "0.001", "ml milliliter millilitre"),
        ("volume", "1", "liter litre"),
        ("money", "0.01", "cent"),
        ("money", "1", "dollar usd"),
    )
    for name in names.split()
}
_LETTERS = {"m": "meter", "g": "gram", "s": "second", "h": "hour", "L": "liter"}
_RATES = {"mph": "mile/hour", "kph": "km/hour", "kmh": "km/hour"}
_DOLLARS = re.compile(r"\\?\$\s?([\d.,]+)")
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_SET_AS_TEXT = re.compile(rf"\A(.*?[\d}})a-zA-Z])\s*{TEXT.pattern}\s*(?:\^\s*\{{?\s*([23])\s*\}}?)?\Z", re.DOTALL)
_WORDS = re.compile(
    r"\A([+\-]?[\d.,/]+(?:e[+\-]?\d+)?)\s*"
    r"((?:[a-z]{2,12}\s)?[A-Za-z]{1,12}(?:(?:/|\sper\s)[a-z]{1,12})?)(?:\^\{?([23])\}?)?\Z"
)
_SPELLED = re.compile(r"\A(.*[\d})\]\w])\s+(?:(?:square|sq|cubic|cu)\s)?([a-z]{2,20})\.?(?:\^\{?[23]\}?)?\Z", re.DOTALL)
_PROSE = 4
"""Letters of a word that is no product of variables."""


@dataclass(frozen=True)
class Measure:
    """What stands before a unit, what the unit measures, to which power, and its size in the basic unit of that.

    A unit that `may_be_variable` is a letter that stands directly behind the number, as in `5m`.
    """

    amount: str
    dimension: str
    power: int
    size: Fraction
    may_be_variable: bool = False


def measure_of(answer: str) -> Measure | None:
    r"""The measure that `5 \text{ cm}^2`, `5 square feet` or `60 km/h` is; None for units unknown here."""
    text = SPACE.sub(" ", unframed(answer)).strip()
    if amount := _DOLLARS.fullmatch(text):
        return Measure(amount[1], "money", 1, Fraction(1))
    match = _SET_AS_TEXT.match(text) or _WORDS.match(text)
    if match is None:
        return None
    *powers, name = match[2].replace(" per ", "/").split() or [""]
    unit = _unit(_RATES.get(name, name))
    power = int(match[3] or 1) * (_POWERS.get(powers[0], 0) if powers else 1)
    if unit is None or not power or len(powers) > 1:
        return None
    may_be_variable = text == match[1] + match[2] and len(name) == 1
    return Measure(match[1], unit[0], power, unit[1] ** power, may_be_variable)


def without_unit(answer: str) -> str:
    r"""The answer without the text or the unit at its end, such as `\frac12` for `\frac12\text{ m}` or `\frac12 cm`."""
    text = unframed(answer)
    match = _SET_AS_TEXT.match(text)
    if match is None:
        match = _SPELLED.match(text)
        if match is None or (_named(match[2]) is None and len(match[2]) < _PROSE):
            return answer
    return answer if NO_UNIT.search(match[2]) else match[1]


def _unit(name: str) -> tuple[str, Fraction] | None:
    """What a unit or a rate of two measures, and its size."""
    over, is_rate, under = name.partition("/")
    one, other = _named(over), _named(under)
    if not is_rate or one is None or other is None:
        return None if is_rate else one
    return f"{one[0]}/{other[0]}", one[1] / other[1]


def _named(name: str) -> tuple[str, Fraction] | None:
    name = _LETTERS.get(name, name.lower()).removesuffix(".")
    return _SIZES.get(name) or _SIZES.get(name.removesuffix("s"))
