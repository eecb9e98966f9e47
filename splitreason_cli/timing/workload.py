"""A scripted generation: so many tokens, with spans of the big model at given places, whatever the models would say.

For measuring time: every mode writes the same number of tokens by the same authors.
"""

from dataclasses import dataclass
from typing import ClassVar

from ..split.policies import Place, Policy, Span
from ..split.signals import Signal


@dataclass(frozen=True)
class Workload:
    """`tokens` in all, of which `share` in `spans` spans of equal length, evenly spread.

    A span ends with a sentence, as annotated ones do. The median sentence of long reasoning traces has 41 characters,
    some 13 tokens.
    """

    tokens: int = 2048
    share: float = 0.05
    spans: int = 4
    sentence_tokens: int = 13

    @property
    def span_tokens(self) -> int:
        return round(self.tokens * self.share / self.spans)

    @property
    def big_tokens(self) -> int:
        return self.spans * self.span_tokens

    @property
    def places(self) -> tuple[int, ...]:
        """Tokens before each span, spans included."""
        small = (self.tokens - self.spans * self.span_tokens) // (self.spans + 1)
        return tuple((number + 1) * small + number * self.span_tokens for number in range(self.spans))

    def ends_sentence(self, offset: int) -> bool:
        """Whether a sentence ends with the first `offset` tokens of a span."""
        return (self.span_tokens - offset) % self.sentence_tokens == 0


@dataclass
class Scripted(Policy):
    """The policy of a workload. The small model is asked where it would close as always; the answer is not heeded."""

    name: ClassVar[str] = "scripted"
    needs: ClassVar[frozenset[Signal]] = frozenset((Signal.CLOSE,))
    workload: Workload

    def opens(self, place: Place) -> bool:
        return len(place.completion) in self.workload.places

    def closes(self, span: Span) -> bool:
        return len(span.ids) >= self.workload.span_tokens
