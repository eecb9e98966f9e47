"""The systems that have a name. To add one, write a class like that of `systems.small` and a line here."""

import re

from ...errors import UsageError
from ...split.policies import parse_policy
from .base import System, Written
from .big import Big
from .entropy import Entropy
from .oracle import Oracle
from .random import RandomCopy
from .relay import Relay
from .small import Small
from .split import Split

SYSTEMS: dict[str, type[System]] = {
    "small": Small,
    "big": Big,
    "split": Split,
    "random": RandomCopy,
    "relay": Relay,
    "entropy": Entropy,
    "oracle": Oracle,
}
"""The order is that in which copies of one split run."""

HINT = f"Known systems: {', '.join((*SYSTEMS, *(kind.usage for kind in SYSTEMS.values() if kind.usage)))}"


def split_names(text: str) -> list[str]:
    """The names in a comma-separated list, whose arguments in parentheses may hold commas too."""
    return [name.strip() for name in re.split(r",(?![^()]*\))", text) if name.strip()]


def explicit(name: str) -> bool:
    """Whether a name is `relay(a, b)` or `entropy(x, n)` with arguments. Raises ValueError if it is nothing at all."""
    word, arguments = parse_policy(name)
    return word in SYSTEMS and bool(SYSTEMS[word].usage and arguments)


def written(name: str) -> Written:
    """The system that is a policy written in full. Raises UsageError."""
    try:
        if not explicit(name):
            raise ValueError(f"unknown system {name!r}")
    except ValueError as error:
        raise UsageError(str(error).rstrip("."), HINT) from None
    return Written(name, name)
