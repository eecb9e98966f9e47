"""Units of measure behind an answer: an answer may leave its unit out, but not give another."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from .notation import SPACE, TEXT, unframed

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
        ("money", "1", "dollar"),
    )
    for name in names.split()
}
_LETTERS = {"m": "meter", "g": "gram", "s": "second", "h": "hour", "L": "liter"}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_SET_AS_TEXT = re.compile(rf"\A(.*?[\d}})a-zA-Z])\s*{TEXT.pattern}\s*(?:\^\s*\{{?\s*([23])\s*\}}?)?\Z", re.DOTALL)
_WORDS = re.compile(r"\A([+\-]?[\d.,/]+)\s*([a-z]{2,12}(?:\s[a-z]{2,12})?)(?:\^\{?([23])\}?)?\Z", re.DOTALL)


@dataclass(frozen=True)
class Measure:
    """What stands before a unit, what the unit measures, to which power, and its size in the basic unit of that."""

    amount: str
    dimension: str
    power: int
    size: Fraction


def measure_of(answer: str) -> Measure | None:
    r"""The measure that `5 \text{ cm}^2`, `5 square feet` or `\frac12\text{ m}` is; None for units unknown here."""
    text = SPACE.sub(" ", unframed(answer)).strip()
    match = _SET_AS_TEXT.match(text)
    is_set_as_text = match is not None
    match = match or _WORDS.match(text)
    if match is None:
        return None
    *powers, name = match[2].split() or [""]
    if is_set_as_text:
        name = _LETTERS.get(name, name)
    power = int(match[3] or 1) * (_POWERS.get(powers[0], 0) if powers else 1)
    size = _SIZES.get(name.removesuffix(".")) or _SIZES.get(name.removesuffix(".").removesuffix("s"))
    return None if size is None or not power or len(powers) > 1 else Measure(match[1], size[0], power, size[1] ** power)
