"""How many tokens the big model may write: a hard cap on its share of all generated tokens.

The cap holds at every moment, not only at the end: the big model gets `n` more tokens only while
`(big + reserved + n) / (total + reserved + n) <= share`. What a run does not use early stays available later.

A span is granted only if there is room for all of it, as far as that can be foreseen: half a span is worse than none.

A server cannot wait until enough was generated: hard parts of an answer lie early. There the requests in progress
count with the length that they are expected to reach (`PlannedBudget`). One that ends earlier leaves a debt, which
is paid before anything more is granted.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

FIRST_SPAN_TOKENS = 8
"""A guess at the length of a span before any has been seen."""


class Budget(Protocol):
    """What a request's controller asks before and while the big model writes."""

    @property
    def mean_span_tokens(self) -> float: ...

    @property
    def span_reserve_tokens(self) -> int: ...

    def room(self) -> int | None: ...

    def reserve(self, tokens: int) -> bool: ...

    def release(self, tokens: int) -> None: ...

    def record(self, *, small: int = 0, big: int = 0, whole_spans: int = 0) -> None: ...


@dataclass
class OffloadBudget:
    """A ledger shared by all the requests of a run.

    Its state is sums, so a resumed run rebuilds it from its finished records.

    Args:
        share: the cap on big tokens / all tokens, 0..1; None grants everything.
        whole_spans: spans that ended by themselves, neither cut by a limit nor by this budget.
        planned_tokens: what the requests in progress are still expected to generate.
        first_span_tokens: the length of a span as long as none has been seen.
    """

    share: float | None = None
    small_tokens: int = 0
    big_tokens: int = 0
    whole_spans: int = 0
    reserved: int = 0
    planned_tokens: int = 0
    first_span_tokens: float = FIRST_SPAN_TOKENS

    @property
    def offload_share(self) -> float:
        """Big tokens / all tokens so far; 0 before the first token."""
        total = self.small_tokens + self.big_tokens
        return self.big_tokens / total if total else 0.0

    @property
    def mean_span_tokens(self) -> float:
        """Tokens in all spans / spans that ended by themselves.

        This is the maximum-likelihood mean of exponential lengths when the other spans are right-censored. One span of
        `first_span_tokens` is counted in advance.
        """
        return (self.first_span_tokens + self.big_tokens) / (1 + self.whole_spans)

    @property
    def span_reserve_tokens(self) -> int:
        """What to set aside for a new span: twice the mean span."""
        return math.ceil(2 * self.mean_span_tokens)

    def room(self) -> int | None:
        """How many more big tokens fit under the cap right now; None if there is no cap."""
        if self.share is None or self.share >= 1:
            return None
        total = self.small_tokens + self.big_tokens + self.planned_tokens
        # The epsilon keeps a share such as 0.29 from losing a whole token to binary rounding.
        if self.planned_tokens:
            # A plan's total holds the big tokens to come already.
            return math.floor(self.share * total - self.big_tokens - self.reserved + 1e-9)
        return math.floor((self.share * total - self.big_tokens) / (1 - self.share) - self.reserved + 1e-9)

    def reserve(self, tokens: int) -> bool:
        """Set `tokens` aside for a span, all of them or none."""
        room = self.room()
        if room is not None and tokens > room:
            return False
        self.reserved += tokens
        return True

    def release(self, tokens: int) -> None:
        """Give back what a span reserved and did not write."""
        self.reserved -= tokens

    def record(self, *, small: int = 0, big: int = 0, whole_spans: int = 0) -> None:
        """Count generated tokens and whole spans. Big tokens are released from the reservation separately."""
        self.small_tokens += small
        self.big_tokens += big
        self.whole_spans += whole_spans


@dataclass
class PlannedBudget:
    """One request's part in a ledger that counts the tokens to come.

    Args:
        expected_tokens: the completion's expected length, tags not counted.
    """

    ledger: OffloadBudget
    expected_tokens: int
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.expected_tokens
        self.ledger.planned_tokens += self._left

    @property
    def mean_span_tokens(self) -> float:
        return self.ledger.mean_span_tokens

    @property
    def span_reserve_tokens(self) -> int:
        return self.ledger.span_reserve_tokens

    def room(self) -> int | None:
        return self.ledger.room()

    def reserve(self, tokens: int) -> bool:
        return self.ledger.reserve(tokens)

    def release(self, tokens: int) -> None:
        self.ledger.release(tokens)

    def record(self, *, small: int = 0, big: int = 0, whole_spans: int = 0) -> None:
        """Count generated tokens, which are planned no longer."""
        self._unplan(small + big)
        self.ledger.record(small=small, big=big, whole_spans=whole_spans)

    def close(self) -> None:
        """The request has ended, perhaps earlier than expected. May be called again."""
        self._unplan(self._left)

    def _unplan(self, tokens: int) -> None:
        done = min(self._left, tokens)
        self._left -= done
        self.ledger.planned_tokens -= done


@dataclass
class MeanLength:
    """The mean length of finished completions, in tokens, as a forecast of the next one's; `first` until there is one.

    It serves for spans as well. Recent ones weigh more: each new one moves the mean by a tenth of its distance.
    """

    first: float
    mean: float | None = None

    def forecast(self, max_tokens: int) -> int:
        return min(max_tokens, round(self.first if self.mean is None else self.mean))

    def observe(self, tokens: float) -> None:
        self.mean = float(tokens) if self.mean is None else self.mean + (tokens - self.mean) / 10


def parse_share(text: str) -> float:
    """Read `5%`, `0.05` or `1.35%` as a share 0..1. Raises ValueError with what was expected."""
    stripped = text.strip()
    try:
        value = float(stripped.removesuffix("%")) / (100 if stripped.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is no share. Expected a percentage such as 5% or a number from 0 to 1 such as 0.05")
    return value
