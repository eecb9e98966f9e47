"""The policies that users name."""

import re
from collections.abc import Mapping

from ..signals import SUPPLIED
from .alone import Always, Never
from .base import Factory, Policy, PolicyContext, check_supplied
from .entropy import Entropy
from .keywords import Keyword
from .learned import Learned
from .random_places import Random
from .relay import Relay

POLICIES: dict[str, Factory] = {
    "learned": Learned.parse,
    "never": Never.parse,
    "always": Always.parse,
    "random": Random.parse,
    "relay": Relay.parse,
    "entropy": Entropy.parse,
    "keyword": Keyword.parse,
}
"""Policies by name; what may follow in parentheses is said in each one's file."""


def make_policy(text: str, policies: Mapping[str, Factory], context: PolicyContext) -> Policy:
    """The policy that a text such as `relay(16)` describes. Raises ValueError with what is wrong."""
    name, arguments = parse_policy(text)
    if name not in policies:
        raise ValueError(f"unknown policy {name!r}. Known are {', '.join(policies)}")
    try:
        policy = policies[name](context, arguments)
        check_supplied(policy, SUPPLIED)
    except ValueError as error:
        raise ValueError(f"policy {text!r}: {error}") from None
    return policy


def parse_policy(text: str) -> tuple[str, tuple[str, ...]]:
    """The name and the arguments of a policy written as `name` or `name(argument, ...)`. Raises ValueError."""
    match = re.fullmatch(r"\s*([a-z_][a-z0-9_-]*)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if not match:
        raise ValueError(f"{text!r} is no policy. Write a name, with arguments in parentheses, such as relay(16)")
    arguments = tuple(part.strip() for part in (match.group(2) or "").split(","))
    return match.group(1), tuple(filter(None, arguments))
