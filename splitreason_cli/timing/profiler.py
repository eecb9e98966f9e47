"""The rates of a model behind a vLLM server, measured."""

import asyncio
import random
import time
from collections.abc import Callable

from ..errors import EndpointError
from ..models.endpoint import CallError, Endpoint, EndpointConfig
from .profiling import MeasuredRates, ProfilePlan, rates_from

PROMPT_IDS = range(16, 240)
"""Every vocabulary has these ids. A prompt drawn from them shares no block with an earlier one, so none is cached."""


def profile(
    base_url: str,
    plan: ProfilePlan,
    *,
    api_key_env: str | None = None,
    timeout_seconds: float = 600.0,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[str, MeasuredRates]:
    """Measure the first model a server offers, one request at a time; returns its name and its rates.

    One repetition goes before those that count, as the first requests of a server compile and connect.

    Raises EndpointError if the server cannot be measured: it refuses, ignores `ignore_eos`, or shows no rate.
    """
    # A retry would be timed with its waiting.
    config = EndpointConfig(base_url, "", api_key_env, concurrency=1, timeout_seconds=timeout_seconds, max_retries=0)
    try:
        name, seconds = asyncio.run(_measure(config, plan, clock))
    except CallError as error:
        raise EndpointError(f"{base_url}: {error}", "Give a vLLM server, and --profile-tokens that fit it") from None
    try:
        return name, rates_from(seconds, plan)
    except ValueError as error:
        raise EndpointError(f"{base_url}: {error}", "Raise --profile-tokens, measure while nothing else runs") from None


async def _measure(
    config: EndpointConfig, plan: ProfilePlan, clock: Callable[[], float]
) -> tuple[str, list[list[float]]]:
    endpoint = Endpoint(config)
    # Unseeded: the server may still remember the ids of an earlier run.
    rng = random.Random()
    try:
        names = await endpoint.models()
        if not names:
            raise CallError("the server offers no model")
        rows = [
            [await _time(endpoint, names[0], prompt, tokens, rng, clock) for prompt, tokens in plan.requests]
            for _ in range(1 + plan.repetitions)
        ]
    finally:
        await endpoint.close()
    return names[0], rows[1:]


async def _time(
    endpoint: Endpoint, model: str, prompt_tokens: int, tokens: int, rng: random.Random, clock: Callable[[], float]
) -> float:
    """The seconds of one completion of exactly `tokens` tokens after a prompt nobody has seen. Raises CallError."""
    body = {
        "model": model,
        "prompt": rng.choices(PROMPT_IDS, k=prompt_tokens),
        "max_tokens": tokens,
        "temperature": 0.0,
        "ignore_eos": True,
    }
    started = clock()
    answer = await endpoint.complete(body)
    seconds = clock() - started
    written = answer.tokens[1]
    if written != tokens:
        raise CallError(f"asked for {tokens} tokens, the server wrote {written}")
    return seconds
