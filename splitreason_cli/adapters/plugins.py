"""What users add from outside, by entry points of their own packages."""

from importlib.metadata import entry_points

from ..core.policies import POLICIES, Factory

POLICY_GROUP = "srx.policies"


def load_policies() -> dict[str, Factory]:
    """The built-in policies and those of entry point group `srx.policies`, each a `Factory`; the latter win."""
    return {**POLICIES, **{point.name: point.load() for point in entry_points(group=POLICY_GROUP)}}
