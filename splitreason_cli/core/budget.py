"""How many tokens the big model may write: a hard cap on its share of all generated tokens.

The cap holds at every moment, not only at the end: the big model gets `n` more tokens only while
`(big + reserved + n) / (total + reserved + n) <= share`. What a run does not use early stays available later.
"""

import math
from dataclasses import dataclass


@dataclass
class OffloadBudget:
    """A ledger shared by all the requests of a run.

    Args:
        share: the cap on big tokens / all tokens, 0..1; None grants everything.
    """

    share: float | None = None
    small_tokens: int = 0
    big_tokens: int = 0
    spans: int = 0
    reserved: int = 0

    @property
    def offload_share(self) -> float:
        """Big tokens / all tokens so far; 0 before the first token."""
        total = self.small_tokens + self.big_tokens
        return self.big_tokens / total if total else 0.0

    @property
    def typical_span_tokens(self) -> int:
        """The mean length of the spans so far, rounded up; 1 before the first span has ended."""
        return max(1, math.ceil(self.big_tokens / self.spans)) if self.spans else 1

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

    def record(self, *, small: int = 0, big: int = 0, spans: int = 0) -> None:
        """Count generated tokens and ended spans. Big tokens are released from the reservation separately."""
        self.small_tokens += small
        self.big_tokens += big
        self.spans += spans


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
