"""When to stop asking a model that fails."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Breaker:
    """Opens after `failures` failures in a row; after `rest_seconds` one request may try, and decides how it goes on.

    Args:
        clock: tells seconds, and does not run backwards.
    """

    failures: int = 3
    rest_seconds: float = 15.0
    clock: Callable[[], float] = time.monotonic
    _in_a_row: int = 0
    _closed_from: float = 0.0

    def allows(self) -> bool:
        """Whether the model may be asked. A request that is let through after a rest keeps the others out meanwhile."""
        if self._in_a_row < self.failures:
            return True
        now = self.clock()
        if now < self._closed_from:
            return False
        self._closed_from = now + self.rest_seconds
        return True

    def failed(self) -> None:
        self._in_a_row += 1
        self._closed_from = self.clock() + self.rest_seconds

    def succeeded(self) -> None:
        self._in_a_row = 0
