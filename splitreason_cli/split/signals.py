"""What a policy may ask to be told while a completion is written."""

from dataclasses import dataclass
from enum import Enum


class Signal(Enum):
    """Something that a policy needs, and that a driver supplies where its models can tell it."""

    ENTROPY = "the entropy of the small model's next token"
    TOP_LOGPROBS = "the small model's likeliest next tokens"
    CLOSE = "how likely the small model would close a span"
    TEXT = "the text so far"
    STEPS = "where a step of the reasoning begins"
    OPINION = "the big model's opinion of the text so far"
    TRIAL = "a trial answer"


SUPPLIED = frozenset((Signal.ENTROPY, Signal.TOP_LOGPROBS, Signal.CLOSE, Signal.TEXT, Signal.STEPS))
"""What the drivers of this package supply."""

PREDICTIONS = frozenset((Signal.ENTROPY, Signal.TOP_LOGPROBS))
"""What is known only once the small model has computed its next token."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The small model's distribution of its next token, at temperature 1.

    Attributes:
        entropy: in nats.
        top_logprobs: (token id, natural-log probability) of the likeliest tokens, likeliest first.
    """

    entropy: float
    top_logprobs: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class CloseSignal:
    """What the small model, having read the first `offset` big tokens of a span, predicts next.

    `logprob` is the natural-log probability of the closing tag, `is_argmax` whether the tag is the likeliest token.
    """

    offset: int
    logprob: float
    is_argmax: bool
