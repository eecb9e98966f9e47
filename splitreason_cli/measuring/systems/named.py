"""The systems that have a name. To add one, write a class like that of `systems.small` and a line here."""

import re

from ...errors import UsageError
from ...split.policies import parse_policy
from .base import System, WrittenSystem
from .big import BigSystem
from .entropy import EntropySystem
from .oracle import OracleSystem
from .random import RandomCopySystem
from .relay import RelaySystem
from .small import SmallSystem
from .split import SplitSystem

SYSTEMS: dict[str, type[System]] = {
    "small": SmallSystem,
    "big": BigSystem,
    "split": SplitSystem,
    "random": RandomCopySystem,
    "relay": RelaySystem,
    "entropy": EntropySystem,
    "oracle": OracleSystem,
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


def written(name: str) -> WrittenSystem:
    """The system that is a policy written in full. Raises UsageError."""
    try:
        if not explicit(name):
            raise ValueError(f"unknown system {name!r}")
    except ValueError as error:
        raise UsageError(str(error).rstrip("."), HINT) from None
    return WrittenSystem(name, name)
