"""`keyword(Wait, However)`: after words that announce a turn of the reasoning."""

import re
from dataclasses import dataclass, field
from typing import ClassVar

from ..signals import Signal
from .base import Place, Policy, PolicyContext, Span


@dataclass
class Keyword(Policy):
    """Hands over for `span_tokens` tokens after one of `words`, such as "Wait", has been written by the small model."""

    name: ClassVar[str] = "keyword"
    needs: ClassVar[frozenset[Signal]] = frozenset((Signal.TEXT,))
    words: tuple[str, ...]
    span_tokens: int = 32
    tail_tokens: int = 16
    _seen: int = field(init=False, default=0)

    @classmethod
    def parse(cls, context: PolicyContext, arguments: tuple[str, ...]) -> "Keyword":
        return cls(arguments or ("Wait",))

    def opens(self, place: Place) -> bool:
        # What was looked at when the last span opened is not looked at again, or the same word would open the next one.
        fresh = min(self.tail_tokens, len(place.completion) - self._seen)
        tail = place.text(fresh) if fresh else ""
        if not any(re.search(rf"\b{re.escape(word)}\W*$", tail) for word in self.words):
            return False
        self._seen = len(place.completion)
        return True

    def closes(self, span: Span) -> bool:
        return len(span.ids) >= self.span_tokens
