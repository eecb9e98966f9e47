"""A right answer less the price of the time that the big model's help adds."""

from typing import TYPE_CHECKING, Self

from ...plugins import call
from ...split.latency import Segments, Setup, alone_timing, pipelined_timing
from .base import Reward, Worth, priced

if TYPE_CHECKING:
    from ..rollouts import Rollout


class TimeReward(Reward):
    """The price is of being as slow as the big model alone, by the rates of `setup`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    def worth(self, correct: bool, rollout: "Rollout", price: float) -> Worth:
        segments = [(author, len(ids)) for author, ids in rollout.segments]
        return priced(correct, added_time(segments, self._setup, len(rollout.prompt_ids)), price)

    @classmethod
    def make(cls, text: str, arguments: tuple[str, ...], setup: Setup) -> Self:
        return call(lambda: cls(setup), text, arguments)


def added_time(segments: Segments, setup: Setup, prompt_tokens: int) -> float:
    """How much longer than the small model alone the pair takes, in units of what the big model alone would add.

    0 is as quick as the small model, 1 as slow as the big one; many short spans may cost more than one long span of as
    many tokens. By the rates and the pipelining of `split.latency`. Where the big model is the quicker one it is 0.
    """
    small = alone_timing("small", segments, setup, prompt_tokens).seconds
    big = alone_timing("big", segments, setup, prompt_tokens).seconds
    pair = pipelined_timing(segments, setup, prompt_tokens).seconds
    return max(0.0, pair - small) / (big - small) if big > small else 0.0
