"""When the small model hands over, and when it takes back.

A policy is asked once per position, in order, so its answers do not depend on how a driver groups tokens. One object
serves one request; `Random` carries that request's own random state.
"""

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol


@dataclass(frozen=True)
class CloseSignal:
    """What the small model, having read the first `offset` big tokens of a span, predicts next.

    `logprob` is the natural-log probability of the closing tag, `is_argmax` whether the tag is the likeliest token.
    """

    offset: int
    logprob: float
    is_argmax: bool


class Policy(Protocol):
    """`tagged` policies are run by the tags that the small model writes; the others never let it write one."""

    name: ClassVar[str]
    tagged: ClassVar[bool]

    def opens(self, completion: Sequence[int]) -> bool:
        """Whether to hand over after this completion, all of it in the small model's ids. Untagged policies only."""
        ...

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        """Whether to take back after these big tokens of the span. `signal` is given to tagged policies only."""
        ...


@dataclass
class Learned:
    """The small model opens by writing the tag and closes where its next token would be the closing one.

    `threshold` closes where the closing tag has at least that probability; None closes where it is the argmax.
    """

    name: ClassVar[str] = "learned"
    tagged: ClassVar[bool] = True
    threshold: float | None = None

    def opens(self, completion: Sequence[int]) -> bool:
        return False

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        if signal is None:
            return False
        return signal.is_argmax if self.threshold is None else signal.logprob >= math.log(self.threshold)


@dataclass
class Never:
    """The small model alone."""

    name: ClassVar[str] = "never"
    tagged: ClassVar[bool] = False

    def opens(self, completion: Sequence[int]) -> bool:
        return False

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return False


@dataclass
class Always:
    """The big model from the first token on, as far as the budget goes."""

    name: ClassVar[str] = "always"
    tagged: ClassVar[bool] = False

    def opens(self, completion: Sequence[int]) -> bool:
        return True

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return False


@dataclass
class Random:
    """Hand-overs of `span_tokens` tokens at random places, so that the expected offload share is `share`.

    Each position opens with probability p, so on average (1 - p) / p small tokens precede a span, and
    share = span_tokens / (span_tokens + (1 - p) / p), which is solved for p.
    """

    name: ClassVar[str] = "random"
    tagged: ClassVar[bool] = False
    share: float
    span_tokens: int
    rng: random.Random = field(default_factory=random.Random)

    def opens(self, completion: Sequence[int]) -> bool:
        return self.rng.random() < self.share / (self.share + self.span_tokens * (1 - self.share))

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return len(span) >= self.span_tokens


@dataclass
class Pattern:
    """Hands over where the text so far satisfies `hands_over`, and takes back once the span's text matches `span`.

    With knowledge of the task this is the oracle that a learned policy is compared with. `decode` gives the text of the
    small model's ids, `decode_span` that of the big one's; None if they share a vocabulary.
    """

    name: ClassVar[str] = "pattern"
    tagged: ClassVar[bool] = False
    decode: Callable[[Sequence[int]], str]
    hands_over: Callable[[str], bool]
    span: re.Pattern[str]
    tail_tokens: int = 32
    decode_span: Callable[[Sequence[int]], str] | None = None

    def opens(self, completion: Sequence[int]) -> bool:
        return self.hands_over(self.decode(completion[-self.tail_tokens :]))

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return self.span.fullmatch((self.decode_span or self.decode)(span)) is not None
