"""`learned`, `learned(0.3)`: the tags that the small model was trained to write."""

import math
from dataclasses import dataclass
from typing import ClassVar

from ..signals import Signal
from .arguments import number, positional
from .base import Policy, PolicyContext, Span


@dataclass
class Learned(Policy):
    """The small model opens by writing the tag and closes where its next token would be the closing one.

    `threshold` closes where the closing tag has at least that probability; None closes where it is the argmax.
    """

    name: ClassVar[str] = "learned"
    tagged: ClassVar[bool] = True
    needs: ClassVar[frozenset[Signal]] = frozenset((Signal.CLOSE,))
    threshold: float | None = None

    @classmethod
    def parse(cls, context: PolicyContext, arguments: tuple[str, ...]) -> "Learned":
        (threshold,) = positional(arguments, "threshold", defaults=("argmax",))
        return cls(None if threshold == "argmax" else number(float, "threshold", threshold, above=0, most=1))

    def closes(self, span: Span) -> bool:
        if span.signal is None:
            return False
        return span.signal.is_argmax if self.threshold is None else span.signal.logprob >= math.log(self.threshold)
