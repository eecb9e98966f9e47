"""`entropy(1.5)`, `entropy(1.5, 16)`: where the small model is uncertain."""

from dataclasses import dataclass, field
from typing import ClassVar

from ..signals import Signal
from .arguments import number, positional
from .base import Place, Policy, PolicyContext, Span


@dataclass
class Entropy(Policy):
    """The big model writes `span_tokens` tokens wherever the small one's next token has at least `threshold` nats.

    High entropy marks the forks of a chain of thought (Wang et al. 2025, "Beyond the 80/20 Rule").
    """

    name: ClassVar[str] = "entropy"
    needs: ClassVar[frozenset[Signal]] = frozenset((Signal.ENTROPY,))
    threshold: float
    span_tokens: int

    @classmethod
    def parse(cls, context: PolicyContext, arguments: tuple[str, ...]) -> "Entropy":
        threshold, span_tokens = positional(arguments, "threshold", "tokens", defaults=("32",))
        return cls(number(float, "threshold", threshold, least=0), number(int, "tokens", span_tokens, least=1))

    def opens(self, place: Place) -> bool:
        return place.entropy >= self.threshold

    def closes(self, span: Span) -> bool:
        return len(span.ids) >= self.span_tokens


@dataclass
class EntropyRecorder(Policy):
    """The small model alone; keeps the entropy of each of its next tokens, in nats, to calibrate `Entropy`."""

    name: ClassVar[str] = "never"
    needs: ClassVar[frozenset[Signal]] = frozenset((Signal.ENTROPY,))
    may_open: ClassVar[bool] = False
    entropies: list[float] = field(init=False, default_factory=list)

    def opens(self, place: Place) -> bool:
        self.entropies.append(place.entropy)
        return False
