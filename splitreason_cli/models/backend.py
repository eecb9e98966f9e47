"""What serving asks of a model: token ids in, token ids out.

A backend is one model behind one or more servers, or in this process. A session is one request's hold on it: it stays
with one server, so that the key-value cache of the request's prefix is found again.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from .connections import Timeouts
    from .loading import LoadedModel

from ..split.signals import Prediction
from .sampling import Sampling


class BackendError(Exception):
    """A model failed for one request: refused, broke off, answered nonsense, or took too long."""


FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Chunk:
    """Some decoded tokens, with their natural-log probabilities and predictions where they were asked for.

    `predictions` are the distributions that the tokens came from.
    `finish_reason` is set in the last chunk of a stream: "stop" after a stop token, which is part of the chunk,
    "length" at the limit.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    finish_reason: FinishReason | None = None
    predictions: tuple[Prediction, ...] = ()


@dataclass(frozen=True)
class StreamRequest:
    """What is asked of one stream.

    Args:
        max_tokens: at most so many are decoded.
        stop: any of these tokens ends the stream, and is delivered.
        forbid: none of these tokens is chosen.
        seed: of the draws; equal ones draw alike after equal `ids`, as far as the model can.
        logprobs, predictions: whether chunks tell them.
    """

    max_tokens: int
    sampling: Sampling
    stop: frozenset[int]
    forbid: frozenset[int] = frozenset()
    seed: int | None = None
    logprobs: bool = False
    predictions: bool = False


@dataclass(frozen=True)
class NextToken:
    """How likely one particular token is to come next: its natural-log probability, and whether it is the likeliest."""

    logprob: float
    is_argmax: bool


class Session(Protocol):
    """One request's hold on a model. Every method raises BackendError."""

    def stream(self, ids: Sequence[int], request: StreamRequest) -> AsyncGenerator[Chunk, None]:
        """Decode after `ids`, in chunks of any size.

        Closing the generator stops the decoding at once; what was decoded stays in the cache.
        """

    async def prefill(self, ids: Sequence[int]) -> None:
        """Read `ids`, so that a later call that starts with them is quick."""

    async def next_token(self, contexts: Sequence[Sequence[int]], token: int) -> list[NextToken]:
        """For each context, how likely `token` comes next. Contexts are read like prefills."""

    async def aclose(self) -> None:
        """Let go of what the session holds."""


async def nonempty(stream: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    """What a session's stream writes, without empty chunks. Whoever reads a stream reads it through this.

    Closing it closes the stream. Raises BackendError, also if there is no token at all: who asked again would not be
    answered otherwise, and would ask for ever.
    """
    is_any = False
    async with aclosing(stream):
        async for chunk in stream:
            if chunk.ids:
                is_any = True
                yield chunk
    if not is_any:
        raise BackendError("the stream ended without a token")


@dataclass(frozen=True)
class Served:
    """A model at URLs: the name it is served under, the key of its servers, and the tokenizer that it shares."""

    urls: tuple[str, ...]
    model: str
    api_key: str | None = field(repr=False)
    timeouts: "Timeouts"
    tokenizer: "LoadedModel"


class Backend(Protocol):
    """A model that can serve requests. `model` is its name; without `has_logprobs` it tells no log-probabilities."""

    model: str
    has_logprobs: ClassVar[bool]

    def session(self) -> Session:
        """A new session, on the server that has the fewest of them."""

    async def check(self) -> None:
        """Raises BackendError unless a server answers."""

    async def warm_up(self) -> None:
        """Let the servers do now what the first request would wait for. Raises BackendError."""

    async def aclose(self) -> None:
        """Close all connections, and stop what was started."""


@dataclass(frozen=True)
class SessionPair:
    """One request's hold on both models."""

    small: Session
    big: Session


@dataclass(frozen=True)
class BackendPair:
    """Both models, wherever each of them runs."""

    small: Backend
    big: Backend

    @asynccontextmanager
    async def sessions(self) -> AsyncIterator[SessionPair]:
        """One request's hold on both, which ends with the block."""
        async with aclosing(self.small.session()) as small, aclosing(self.big.session()) as big:
            yield SessionPair(small, big)

    async def aclose(self) -> None:
        """Close both."""
        await self.small.aclose()
        await self.big.aclose()
