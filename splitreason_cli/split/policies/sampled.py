"""The learned policy while it explores, in rollouts."""

import math
import random
from dataclasses import dataclass, field
from typing import ClassVar

from ..signals import Signal
from .base import Policy, Span


@dataclass
class Sampled(Policy):
    """As `Learned`, but closes with the probability that the closing tag has: what a policy does while it explores.

    Args:
        argmax: close where `Learned` would, and explore nothing.

    Attributes:
        decisions: after each big token, whether it closed, and the natural-log probability of the closing tag.
    """

    name: ClassVar[str] = "sampled"
    tagged: ClassVar[bool] = True
    needs: ClassVar[frozenset[Signal]] = frozenset((Signal.CLOSE,))
    rng: random.Random
    argmax: bool = False
    decisions: list[tuple[bool, float]] = field(init=False, default_factory=list)

    def closes(self, span: Span) -> bool:
        signal = span.signal
        if signal is None:
            return False
        closed = signal.is_argmax if self.argmax else self.rng.random() < math.exp(signal.logprob)
        self.decisions.append((closed, signal.logprob))
        return closed
