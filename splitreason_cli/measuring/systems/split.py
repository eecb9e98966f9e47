"""The pair: the small model hands over by a policy, by default where it writes the tag."""

from dataclasses import dataclass

from .base import WrittenSystem


@dataclass(frozen=True)
class SplitSystem(WrittenSystem):
    """What the others are compared with; the only one that has a cap."""

    name: str = "split"
    text: str = "learned"

    @property
    def cap(self) -> float | None:
        return self.offload_budget
