"""Arguments of policies, as users write them in parentheses."""

import math
from typing import TypeVar

Number = TypeVar("Number", int, float)


def number(
    kind: type[Number],
    name: str,
    text: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float | None = None,
) -> Number:
    """Read a number from `least` to `most`, and more than `above`. Raises ValueError naming the argument."""
    try:
        value = kind(text)
        if math.isnan(value):
            raise ValueError
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} must be {what}, not {text!r}") from None
    if above is not None and value <= above:
        raise ValueError(f"{name} must be more than {above}, not {text}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {text}")
    if value > most:
        raise ValueError(f"{name} must be at most {most}, not {text}")
    return value


def positional(given: tuple[str, ...], *names: str, defaults: tuple[str, ...] = ()) -> tuple[str, ...]:
    """One text for each name, `defaults` for the last ones if they are left out. Raises ValueError."""
    required = len(names) - len(defaults)
    if given and not names:
        raise ValueError("it takes no arguments")
    if not required <= len(given) <= len(names):
        raise ValueError(f"it takes {required} to {len(names)} arguments ({', '.join(names)}), got {len(given)}")
    return (*given, *defaults[len(given) - required :]) if len(given) < len(names) else given
