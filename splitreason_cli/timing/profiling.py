"""A model's rates from how long a server took for a few requests.

A request of p prompt tokens and n completion tokens is taken to last `request + p / prefill + (n - 1) / decode`
seconds: the first token comes with the prefill. Three kinds of request give the three unknowns, and the fixed part of a
request (network, scheduling, what a forward pass takes at least) falls out of both rates. The decode rate is that after
a prompt of `long_tokens`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ..split.latency import Rates


@dataclass(frozen=True)
class ProfilePlan:
    """What to ask for: a short and a long prompt with 1 token each, the long one with `decode_tokens` more.

    Raises ValueError unless the long prompt is longer than the short one.
    """

    short_tokens: int = 256
    long_tokens: int = 2048
    decode_tokens: int = 128
    repetitions: int = 5

    def __post_init__(self) -> None:
        if self.long_tokens <= self.short_tokens:
            raise ValueError(f"the long prompt must have more than {self.short_tokens} tokens, got {self.long_tokens}")

    @property
    def requests(self) -> tuple[tuple[int, int], ...]:
        """(prompt tokens, completion tokens) of one repetition."""
        return (self.short_tokens, 1), (self.long_tokens, 1), (self.long_tokens, 1 + self.decode_tokens)


@dataclass(frozen=True)
class MeasuredRates:
    """Medians over the repetitions.

    A spread is that of the times behind a rate: (longest - shortest) / median. `request_seconds` is the fixed part of a
    request, 0 where it is too short to be seen.
    """

    rates: Rates
    prefill_spread: float
    decode_spread: float
    request_seconds: float


def rates_from(seconds: Sequence[Sequence[float]], plan: ProfilePlan) -> MeasuredRates:
    """The rates behind the times of a plan's requests, one row a repetition.

    Raises ValueError if a longer request did not take longer, so that there is no rate to be seen.
    """
    prefill, prefill_spread = _difference([(short, long) for short, long, _ in seconds], "a longer prompt")
    decode, decode_spread = _difference([(long, decoded) for _, long, decoded in seconds], "a longer completion")
    rates = Rates((plan.long_tokens - plan.short_tokens) / prefill, plan.decode_tokens / decode)
    request = median(short for short, _, _ in seconds) - rates.prefill_seconds(plan.short_tokens)
    return MeasuredRates(rates, prefill_spread, decode_spread, max(0.0, request))


def _difference(pairs: Sequence[tuple[float, float]], what: str) -> tuple[float, float]:
    """The median of what the second of each pair took longer, and its spread."""
    differences = [longer - shorter for shorter, longer in pairs]
    middle = median(differences)
    if middle <= 0:
        raise ValueError(f"{what} took no longer")
    return middle, (max(differences) - min(differences)) / middle
