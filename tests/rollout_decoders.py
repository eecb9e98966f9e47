"""Decoders of rollouts, as a run of GRPO makes them: the big model here or at a server, the policy here or by vLLM."""

from splitreason_cli.decoding.lockstep import LockstepDecoder
from splitreason_cli.decoding.writers import BigHere, BigServed, pair_of
from splitreason_cli.models.loading import LoadedModel
from splitreason_cli.models.sampling import Sampling
from splitreason_cli.training.engine_rollouts import EngineDecoder, Exploration
from splitreason_cli.training.rollouts import RolloutDecoder


def side(big):
    return BigHere(big) if isinstance(big, LoadedModel) else BigServed(big)


def lockstep(small, big, limits, temperature, *, sample_closing=True):
    big = side(big)
    decoder = LockstepDecoder(pair_of(small, big, hint=True), limits, Sampling(temperature), big=big, explores=True)
    return RolloutDecoder(decoder, sample_closing=sample_closing)


def by_engine(small, big, limits, temperature, engine, *, sample_closing=True, **options):
    big = side(big)
    pair = pair_of(small, big, hint=True)
    decoder = EngineDecoder(pair, limits, Exploration(temperature, sample_closing), engine, big, **options)
    return RolloutDecoder(decoder, sample_closing=sample_closing)
