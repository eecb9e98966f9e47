"""The systems that have a name. To add one, write a class like that of `systems.small` and a line here."""

import re

from ...calls import read_call
from ...errors import UsageError
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

HINT = f"Known systems: {', '.join(SYSTEMS)}, and policies written with arguments, such as relay(16,64)"


def split_names(text: str) -> list[str]:
    """The names in a comma-separated list, whose arguments in parentheses may hold commas too."""
    return [name.strip() for name in re.split(r",(?![^()]*\))", text) if name.strip()]


def written(name: str) -> WrittenSystem:
    """The system that is a policy written with arguments, if there is that policy. Raises UsageError."""
    try:
        _, arguments = read_call(name)
    except ValueError as error:
        raise UsageError(str(error), HINT) from None
    if not arguments:
        raise UsageError(f"unknown system {name!r}", HINT)
    return WrittenSystem(name, name)
