"""What a driver tells the controller, and what the controller tells a driver to do."""

from dataclasses import dataclass
from typing import Literal

from ..records.data import Author
from .signals import CloseSignal, Prediction

FinishReason = Literal["stop", "length", "cancelled", "error"]


@dataclass(frozen=True)
class Produced:
    """A model decoded these token ids after its context. End of text is passed on, nothing after it counts.

    `predictions` are the distributions that the ids were taken from; empty where nobody asked for them.
    """

    author: Author
    ids: tuple[int, ...]
    predictions: tuple[Prediction, ...] = ()


@dataclass(frozen=True)
class Probed:
    """The small model has read the span's first `upto` tokens; `signals` holds the offsets it was asked about."""

    upto: int
    signals: tuple[CloseSignal, ...]


@dataclass(frozen=True)
class Failed:
    """A model can no longer be used for this request."""

    author: Author


@dataclass(frozen=True)
class Cancelled:
    """Whoever asked has left."""


Event = Produced | Probed | Failed | Cancelled


@dataclass(frozen=True)
class Decode:
    """Let `author` write up to `max_tokens` tokens after its context, none of them in `forbid`."""

    author: Author
    max_tokens: int
    forbid: frozenset[int]


@dataclass(frozen=True)
class Probe:
    """Let the small model read the span up to `upto` and say where it would close."""

    upto: int


@dataclass(frozen=True)
class Emit:
    """These tokens are final."""

    author: Author
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Finish:
    reason: FinishReason


Action = Decode | Probe | Emit | Finish
