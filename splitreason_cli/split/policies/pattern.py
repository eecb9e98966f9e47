"""The oracle that knows a task."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ..signals import Signal
from .base import Place, Policy, Span


@dataclass
class Pattern(Policy):
    """Hands over where the text so far satisfies `hands_over`, and takes back once the span's text matches `span`.

    With knowledge of the task this is the oracle that a learned policy is compared with.
    """

    name: ClassVar[str] = "pattern"
    needs: ClassVar[frozenset[Signal]] = frozenset((Signal.TEXT,))
    hands_over: Callable[[str], bool]
    span: re.Pattern[str]
    tail_tokens: int = 32

    def opens(self, place: Place) -> bool:
        return self.hands_over(place.text(self.tail_tokens))

    def closes(self, span: Span) -> bool:
        return self.span.fullmatch(span.text()) is not None
