"""The big model alone."""

from dataclasses import dataclass
from typing import ClassVar

from ...records.data import Author
from ...split.policies import Always, Policy
from .base import Sample, System


@dataclass(frozen=True)
class BigSystem(System):
    """Hands everything over, so that the small model need not be loaded."""

    name = "big"
    authors: ClassVar[tuple[Author, ...]] = ("big",)
    policy_name = "always"

    def policy(self, sample: Sample) -> Policy:
        return Always()
