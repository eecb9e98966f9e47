"""Policies of other packages."""

from collections.abc import Mapping

from ..plugins import Registry
from ..split.policies import POLICIES, Factory

_REGISTRY: Registry[Factory] = Registry("policy", "srx.policies", POLICIES)


def policy_source(name: str) -> str:
    """A digest of the code that a policy from outside is in; empty for our own."""
    return _REGISTRY.source(name)


def load_policies() -> Mapping[str, Factory]:
    """The built-in policies and those of entry point group `srx.policies`, each a `Factory`; the latter win."""
    return _REGISTRY
