"""The policies that users name."""

from collections.abc import Mapping

from ...calls import read_call
from ..signals import SUPPLIED
from .alone import Always, Never
from .base import BrokenPolicyError, Factory, Policy, PolicyContext, check_supplied
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
    """The policy that a text such as `relay(16)` describes.

    Raises ValueError with what is wrong; a BrokenPolicyError is no fault of who wrote the text.
    """
    try:
        name, arguments = read_call(text)
    except ValueError as error:
        raise ValueError(f"policy {error}") from None
    if name not in policies:
        raise ValueError(f"unknown policy {name!r}. Known are {', '.join(policies)}")
    factory = policies[name]
    try:
        # The code of other packages may fail in any way.
        policy = factory(context, arguments)
        if not isinstance(policy, Policy):
            raise TypeError(f"what it makes is no Policy but {type(policy).__name__}")
        check_supplied(policy, SUPPLIED)
    except ValueError as error:
        raise ValueError(f"policy {text!r}: {error}") from None
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BrokenPolicyError(f"policy {text!r} is broken ({reason})") from error
    return policy
