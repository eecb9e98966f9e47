"""`relay(16)`, `relay(16, 64)`: turns of fixed lengths."""

from dataclasses import dataclass, field
from typing import ClassVar

from .arguments import number, positional
from .base import Place, Policy, PolicyContext, Span


@dataclass
class Relay(Policy):
    """The models take turns: `small_tokens` by the small one, then `span_tokens` by the big one.

    The first turn of the small model is `phase` tokens shorter.
    """

    name: ClassVar[str] = "relay"
    span_tokens: int
    small_tokens: int
    phase: int = 0
    _turn: int = field(init=False)

    def __post_init__(self) -> None:
        self._turn = -self.phase

    @classmethod
    def parse(cls, context: PolicyContext, arguments: tuple[str, ...]) -> "Relay":
        same = (arguments or ("",))[:1]
        span_tokens, small_tokens = positional(arguments, "tokens", "small tokens", defaults=same)
        return cls(number(int, "tokens", span_tokens, least=1), number(int, "small tokens", small_tokens, least=0))

    def opens(self, place: Place) -> bool:
        length = len(place.completion)
        if length - self._turn < self.small_tokens:
            return False
        self._turn = length + self.span_tokens
        return True

    def closes(self, span: Span) -> bool:
        return len(span.ids) >= self.span_tokens
