"""Policies of other packages."""

from collections.abc import Callable, Mapping

from ..errors import MachineError
from ..plugins import Registry
from ..split.policies import POLICIES, Factory

_REGISTRY: Registry[Factory] = Registry("policy", "srx.policies", POLICIES)


def policy_source(name: str) -> str:
    """A digest of the code that a policy from outside is in; empty for our own."""
    return _REGISTRY.source(name)


def load_policies() -> Mapping[str, Factory]:
    """The built-in policies and those of entry point group `srx.policies`, each a `Factory`."""
    return _REGISTRY


def usable_policies(on_broken: Callable[[str], None]) -> dict[str, Factory]:
    """Those of them that can be imported, and are by this. `on_broken` is told why each of the others cannot."""
    found: dict[str, Factory] = {}
    for name in _REGISTRY:
        try:
            found[name] = _REGISTRY[name]
        except MachineError as error:
            on_broken(str(error))
    return found
