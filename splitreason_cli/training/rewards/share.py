"""A right answer less the price of the big model's share of the tokens."""

from typing import TYPE_CHECKING

from .base import Reward, Worth, priced

if TYPE_CHECKING:
    from ..rollouts import Rollout


class ShareReward(Reward):
    """The price is of offloading all tokens."""

    def worth(self, correct: bool, rollout: "Rollout", price: float) -> Worth:
        return priced(correct, rollout.share, price)
