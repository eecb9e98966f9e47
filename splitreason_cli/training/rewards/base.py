"""What a reward is. A new one is a class in a file beside this one and a line in `rewards.named`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ...plugins import call
from ...split.latency import Setup

if TYPE_CHECKING:
    from ..rollouts import Rollout


@dataclass(frozen=True)
class Worth:
    """What a rollout is worth, part by part; each rollout has either a price or the paper's further parts."""

    accuracy: float
    price_paid: float = 0.0
    format_bonus: float = 0.0
    tag_count: float = 0.0

    @property
    def total(self) -> float:
        return self.accuracy + self.format_bonus + self.tag_count - self.price_paid


class Reward(ABC):
    """Says what rollouts are worth. It is not asked about those that the big model failed, or that have no verdict."""

    @abstractmethod
    def worth(self, correct: bool, rollout: "Rollout", price: float) -> Worth:
        """What one rollout is worth.

        Args:
            correct: whether its answer is right.
            price: what offloading everything costs at this step, in right answers; it may be negative.
        """

    @classmethod
    def make(cls, text: str, arguments: tuple[str, ...], setup: Setup) -> Self:
        """The reward written as `text`, a name and maybe `arguments` in parentheses, for a pair of these rates.

        Raises UsageError.
        """
        return call(cls, text, arguments)


def priced(correct: bool, cost: float, price: float) -> Worth:
    """A right answer less `price` times the cost of the big model's help, such as its share or `added_time`."""
    return Worth(float(correct), price_paid=price * cost)
