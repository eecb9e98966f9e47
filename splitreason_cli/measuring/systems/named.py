"""The systems that have a name. To add one, write a class like that of `systems.small` and a line here."""

import re

from ...calls import read_call
from ...errors import UsageError
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

HINT = f"Known systems: {', '.join(SYSTEMS)}, and policies written with arguments, such as relay(16,64)"


def split_names(text: str) -> list[str]:
    """The names in a comma-separated list, whose arguments in parentheses may hold commas too."""
    return [name.strip() for name in re.split(r",(?![^()]*\))", text) if name.strip()]


def written(name: str) -> Written:
    """The system that is a policy written with arguments, if there is that policy. Raises UsageError."""
    try:
        _, arguments = read_call(name)
    except ValueError as error:
        raise UsageError(str(error), HINT) from None
    if not arguments:
        raise UsageError(f"unknown system {name!r}", HINT)
    return Written(name, name)
