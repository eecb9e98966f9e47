"""Spans at given places."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from .base import Place, Policy, Span


@dataclass
class Placed(Policy):
    """Spans of given lengths at given places: the control of another policy's completion (see `measuring.systems`).

    Where the completion ends before a place is reached, or within a span, the rest is not handed over.

    Args:
        spans: (tokens that the small model writes before the span, tokens of the span), by place.
    """

    name: ClassVar[str] = "placed"
    spans: Sequence[tuple[int, int]]
    _opened: int = field(init=False, default=0)
    _written: int = field(init=False, default=-1)
    _comes_back: bool = field(init=False, default=False)

    def opens(self, place: Place) -> bool:
        # Right after a span the small model is asked again before it has written anything.
        self._written += not self._comes_back
        self._comes_back = False
        if self._opened >= len(self.spans) or self._written < self.spans[self._opened][0]:
            return False
        self._opened += 1
        return True

    def closes(self, span: Span) -> bool:
        self._comes_back = True
        return len(span.ids) >= self.spans[self._opened - 1][1]
