"""How many tokens the big model may write: a hard cap on its share of all generated tokens.

The cap holds at every moment, not only at the end: the big model gets `n` more tokens only while
`(big + reserved + n) / (total + reserved + n) <= share`. What a run does not use early stays available later.

A span is granted only if there is room for all of it, as far as that can be foreseen: half a span is worse than none.
"""

import math
from dataclasses import dataclass

FIRST_SPAN_TOKENS = 8
"""The length of a span as long as none has been seen."""


@dataclass
class OffloadBudget:
    """A ledger shared by all the requests of a run.

    Its state is sums, so a resumed run rebuilds it from its finished records.

    Args:
        share: the cap on big tokens / all tokens, 0..1; None grants everything.
        whole_spans: spans that ended by themselves, neither cut by a limit nor by this budget.
    """

    share: float | None = None
    small_tokens: int = 0
    big_tokens: int = 0
    whole_spans: int = 0
    reserved: int = 0

    @property
    def offload_share(self) -> float:
        """Big tokens / all tokens so far; 0 before the first token."""
        total = self.small_tokens + self.big_tokens
        return self.big_tokens / total if total else 0.0

    @property
    def mean_span_tokens(self) -> float:
        """Tokens in all spans / spans that ended by themselves.

        This is the maximum-likelihood mean of exponential lengths when the other spans are right-censored. One span of
        `FIRST_SPAN_TOKENS` is counted in advance.
        """
        return (FIRST_SPAN_TOKENS + self.big_tokens) / (1 + self.whole_spans)

    @property
    def span_reserve_tokens(self) -> int:
        """What to set aside for a new span: twice the mean span."""
        return math.ceil(2 * self.mean_span_tokens)

    def room(self) -> int | None:
        """How many more big tokens fit under the cap right now; None if there is no cap."""
        if self.share is None or self.share >= 1:
            return None
        total = self.small_tokens + self.big_tokens
        # The epsilon keeps a share such as 0.29 from losing a whole token to binary rounding.
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
