"""`random(5%)`, `random(5%, 16)`: chance, the baseline that every other policy has to beat."""

import random
from dataclasses import dataclass, field
from typing import ClassVar

from ..budget import parse_share
from .arguments import number, positional
from .base import Place, Policy, PolicyContext, Span


@dataclass
class Random(Policy):
    """Hand-overs of `span_tokens` tokens at random places, so that the expected offload share is `share`.

    Each position opens with probability p, so on average (1 - p) / p small tokens precede a span, and
    share = span_tokens / (span_tokens + (1 - p) / p), which is solved for p.
    """

    name: ClassVar[str] = "random"
    share: float
    span_tokens: int
    rng: random.Random = field(default_factory=random.Random)

    @classmethod
    def parse(cls, context: PolicyContext, arguments: tuple[str, ...]) -> "Random":
        share, span_tokens = positional(arguments, "share", "tokens", defaults=("32",))
        return cls(parse_share(share), number(int, "tokens", span_tokens, least=1), random.Random(context.seed))

    def opens(self, place: Place) -> bool:
        return self.rng.random() < self.share / (self.share + self.span_tokens * (1 - self.share))

    def closes(self, span: Span) -> bool:
        return len(span.ids) >= self.span_tokens
