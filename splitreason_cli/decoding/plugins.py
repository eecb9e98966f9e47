"""What users add from outside, by entry points of their own packages."""

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from ..split.policies import POLICIES, Factory
from ..store.artifacts import file_digest

POLICY_GROUP = "srx.policies"


def policy_source(name: str) -> str:
    """A digest of the file that a policy from outside is in, or its distribution's version; empty for our own."""
    for point in entry_points(group=POLICY_GROUP):
        if point.name == name:
            origin = getattr(find_spec(point.module), "origin", None)
            if origin and Path(origin).is_file():
                return file_digest(Path(origin))
            return point.dist.version if point.dist else "unknown"
    return ""


def load_policies() -> dict[str, Factory]:
    """The built-in policies and those of entry point group `srx.policies`, each a `Factory`; the latter win."""
    return {**POLICIES, **{point.name: point.load() for point in entry_points(group=POLICY_GROUP)}}
