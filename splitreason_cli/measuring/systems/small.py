"""The small model alone."""

from dataclasses import dataclass
from typing import ClassVar

from ...records.data import Author
from ...split.policies import Never, Policy
from .base import Sample, System


@dataclass(frozen=True)
class SmallSystem(System):
    """Never asks the big model, which need not be loaded."""

    name = "small"
    authors: ClassVar[tuple[Author, ...]] = ("small",)
    policy_name = "never"

    def policy(self, sample: Sample) -> Policy:
        return Never()
