"""Arguments of policies, as users write them in parentheses."""

from typing import TypeVar

Number = TypeVar("Number", int, float)


def number(kind: type[Number], name: str, text: str) -> Number:
    """Read a number. Raises ValueError naming the argument."""
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} must be {what}, not {text!r}") from None


def positional(given: tuple[str, ...], *names: str, defaults: tuple[str, ...] = ()) -> tuple[str, ...]:
    """One text for each name, `defaults` for the last ones if they are left out. Raises ValueError."""
    required = len(names) - len(defaults)
    if given and not names:
        raise ValueError("it takes no arguments")
    if not required <= len(given) <= len(names):
        raise ValueError(f"it takes {required} to {len(names)} arguments ({', '.join(names)}), got {len(given)}")
    return (*given, *defaults[len(given) - required :]) if len(given) < len(names) else given
