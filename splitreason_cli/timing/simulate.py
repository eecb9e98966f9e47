"""What `srx simulate` takes from the world: recorded completions, and rates of running servers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import RecordError
from ..layouts.marked import records_of
from ..split.latency import Setup
from ..store.source import Quarantine, Source, located_records
from .profiler import profile
from .profiling import MeasuredRates, ProfilePlan
from .simulation import Written, written


@dataclass(frozen=True)
class Profile:
    """What was measured of the model at `base_url`."""

    base_url: str
    model: str
    measured: MeasuredRates


def read_completions(source: Source, prompt_tokens: int, characters_per_token: float | None) -> Iterator[Written]:
    """The completions of a source (see `timing.simulation.written`), also of rows that are marked by tags.

    Raises RecordError, InputError.
    """
    for line, records in located_records(source, records_of, Quarantine()):
        for record in records:
            try:
                yield written(record, prompt_tokens, characters_per_token)
            except ValueError as error:
                raise RecordError(line.where, str(error)) from None


def profile_pair(
    urls: Sequence[str], plan: ProfilePlan, api_key_env: str | None, timeout_seconds: float
) -> Iterator[Profile]:
    """Measure servers one after the other, so that they do not slow each other down. Raises EndpointError."""
    for url in urls:
        yield Profile(url, *profile(url, plan, api_key_env=api_key_env, timeout_seconds=timeout_seconds))


def with_profiles(setup: Setup, small: Profile, big: Profile, hand_over_seconds: float | None) -> Setup:
    """The setup with measured rates. Unless given, a hand-over takes what a request of the two takes on average."""
    if hand_over_seconds is None:
        # A span costs a request to the big model and one to the small model; there are two hand-overs to it.
        hand_over_seconds = (small.measured.request_seconds + big.measured.request_seconds) / 2
    return replace(setup, small=small.measured.rates, big=big.measured.rates, hand_over_seconds=hand_over_seconds)
