"""What the HTTP API asks of the engine that generates with both models."""

from collections.abc import AsyncGenerator
from typing import Protocol

from .requests import Delta, Finished, GenerationRequest


class EngineUnavailable(Exception):  # noqa: N818 - the standard term for status 503
    """Nothing can be generated for now, because the small model is down. The client reads the message."""


class Engine(Protocol):
    """`models` are the names under which clients ask for the pair."""

    models: tuple[str, ...]

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta | Finished, None]:
        """Generate one completion; its last item is `Finished`.

        Closing the generator frees both models at once. Raises serving.requests.RequestError before the first item for
        what cannot be fulfilled, and EngineUnavailable at any time. That the big model fails is no error: the small one
        goes on, and `Finished.degraded` says so.
        """

    async def check(self) -> None:
        """Return if a request could be served now. Raises EngineUnavailable."""
