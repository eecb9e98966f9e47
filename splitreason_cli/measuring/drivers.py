"""The two drivers of a benchmark: batches in this process, or many samples at a time on servers."""

import asyncio
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from ..decoding.boundaries import boundaries
from ..decoding.lockstep import LockstepDecoder
from ..decoding.pipelined import PipelineConfig, PipelinedDecoder, PipelineStats, SmallModelError
from ..decoding.rows import Request
from ..errors import EndpointError, InputError, SrxError
from ..models.backend import BackendError, BackendPair
from ..models.loading import LoadedModel
from ..models.pair import Pair
from ..models.sampling import Sampling
from ..models.sides import Running
from ..records.data import Author, Problem
from ..split.budget import OffloadBudget
from ..split.controller import SplitController
from ..split.limits import LEAST_ROOM_TOKENS, Limits
from ..split.policies import Policy

MOST_FAILURES = 3
"""After so many failed samples in a row nothing more is asked."""


@dataclass(frozen=True)
class DriverConfig:
    """How all samples of a run are decoded. `hint` is that of `Pair`."""

    limits: Limits
    sampling: Sampling
    hint: bool = True


@dataclass(frozen=True)
class DecodeJob:
    """One sample to decode, by the models that it asks. `seed` is that of its sampling."""

    sample: int
    problem: Problem
    policy: Policy
    seed: int
    authors: Sequence[Author] = ("small", "big")


@dataclass(frozen=True)
class Decoded:
    """A finished sample. `hand_over_seconds` is the mean over its spans, None where it was not measured.

    `wall_seconds` is the time since the sample before it was finished, None where `seconds` is that already.
    """

    job: DecodeJob
    controller: SplitController
    text: str
    seconds: float
    hand_over_seconds: float | None = None
    wall_seconds: float | None = None


OnDone = Callable[[list[Decoded]], None]


class Driver(Protocol):
    """Decodes the samples of one system after another.

    Attributes:
        batch_size: samples that are journalled together, and decoded again together if one of them is missing.
        models: the tokenizers of both models.
    """

    batch_size: int
    models: Mapping[Author, LoadedModel]

    def run(
        self, jobs: Sequence[DecodeJob], budget: OffloadBudget, on_done: OnDone, on_tick: Callable[[int], None]
    ) -> None:
        """Decode all jobs. `on_done` gets what is finished, `on_tick` how many more have ended in this batch.

        Raises InputError for a prompt that is too long, EndpointError if a model failed.
        """
        ...

    def close(self) -> None:
        """Let go of the models."""
        ...


class BatchDriver:
    """Both models in this process. Batches are cut by position, so that a resumed run decodes the same ones."""

    def __init__(self, decoder: LockstepDecoder, batch_size: int) -> None:
        self.decoder, self.batch_size = decoder, batch_size
        self.models = decoder.pair.models
        self._context_tokens: dict[Author, int | None] = {
            author: loaded.model.config.max_position_embeddings for author, loaded in self.models.items()
        }

    def run(
        self, jobs: Sequence[DecodeJob], budget: OffloadBudget, on_done: OnDone, on_tick: Callable[[int], None]
    ) -> None:
        for start in range(0, len(jobs), self.batch_size):
            batch = jobs[start : start + self.batch_size]
            requests = [Request(job.problem.problem, job.policy, job.seed, self._limits(job)) for job in batch]
            started = time.perf_counter()
            controllers = self.decoder.decode(requests, budget, functools.partial(_tick, on_tick, len(batch)))
            seconds = (time.perf_counter() - started) / len(batch)
            on_done(
                [
                    Decoded(job, controller, self.decoder.pair.text(controller), seconds)
                    for job, controller in zip(batch, controllers, strict=True)
                ]
            )

    def close(self) -> None:
        pass

    def _limits(self, job: DecodeJob) -> Limits:
        prompts = self.decoder.pair.prompts(job.problem.problem)
        return room_for(job, prompts, self.decoder.limits, self._context_tokens)


class ServerDriver:
    """Models behind servers: `concurrency` samples in flight, each with both models at work at once.

    A sample that a model failed is not kept. One event loop serves all runs, as the connections belong to it.
    """

    batch_size = 1

    def __init__(self, small: Running, big: Running, config: DriverConfig, *, concurrency: int) -> None:
        self.models: Mapping[Author, LoadedModel] = {"small": small.tokenizer, "big": big.tokenizer}
        self._backends = BackendPair(small.backend, big.backend)
        self._config, self._concurrency = config, concurrency
        self._context_tokens: dict[Author, int | None] = {"small": small.context_tokens, "big": big.context_tokens}
        self._pair = Pair.of(small.tokenizer, big.tokenizer, hint=config.hint)
        self._pipeline = PipelineConfig(
            first_token_seconds=120.0, token_seconds=60.0, is_boundary=boundaries(self._pair)
        )
        self._loop = asyncio.Runner()

    def run(
        self, jobs: Sequence[DecodeJob], budget: OffloadBudget, on_done: OnDone, on_tick: Callable[[int], None]
    ) -> None:
        if jobs:
            self._loop.run(self._decode_all(jobs, budget, on_done))

    def check(self) -> None:
        """Raises EndpointError unless both models answer."""
        for backend in (self._backends.small, self._backends.big):
            try:
                self._loop.run(backend.check())
            except BackendError as error:
                raise EndpointError(str(error), "Check the URL, the key, and that the server is up") from None

    def close(self) -> None:
        self._loop.run(self._backends.aclose())
        self._loop.close()

    async def _decode_all(self, jobs: Sequence[DecodeJob], budget: OffloadBudget, on_done: OnDone) -> None:
        left, run = iter(jobs), _Run(asyncio.Lock(), on_done)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(jobs))):
                    group.create_task(self._work(left, budget, run))
        except ExceptionGroup as errors:
            raise _first(errors) from None
        if run.failures:
            hint = "Finished samples are kept: when the models are up again, the same command goes on"
            count = len(run.failures)
            raise EndpointError(f"{count} sample{'s' * (count > 1)} failed ({run.failures[0]})", hint)

    async def _work(self, left: Iterator[DecodeJob], budget: OffloadBudget, run: "_Run") -> None:
        for job in left:
            try:
                decoded = await self._decode(job, budget)
            except _SampleError as error:
                run.failures.append(str(error))
                run.streak += 1
            else:
                run.streak = 0
                async with run.lock:
                    decoded = replace(decoded, wall_seconds=run.lap())
                    # Grading may take seconds, in which the streams must be read.
                    await asyncio.to_thread(run.on_done, [decoded])
            if run.streak >= MOST_FAILURES:
                return

    async def _decode(self, job: DecodeJob, budget: OffloadBudget) -> Decoded:
        controller = self._controller(job, budget)
        started = time.perf_counter()
        with _counted_if_kept(controller):
            stats = await self._pipelined(controller, job)
        seconds, waits = time.perf_counter() - started, stats.hand_over_seconds
        wait = sum(waits) / len(waits) if waits else None
        return Decoded(job, controller, self._pair.text(controller), seconds, wait)

    async def _pipelined(self, controller: SplitController, job: DecodeJob) -> PipelineStats:
        async with AsyncExitStack() as stack:
            sessions = await stack.enter_async_context(self._backends.sessions())
            decoder = PipelinedDecoder(controller, sessions, self._config.sampling, self._pipeline)
            try:
                async with aclosing(decoder.run(job.seed)) as steps:
                    async for _ in steps:
                        if decoder.stats.degraded:
                            break
            except SmallModelError as error:
                if not decoder.stats.degraded:
                    raise _SampleError(f"the small model: {error}") from error
        if decoder.stats.degraded:
            raise _SampleError(f"the big model: {decoder.stats.degraded}")
        return decoder.stats

    def _controller(self, job: DecodeJob, budget: OffloadBudget) -> SplitController:
        prompts = self._pair.prompts(job.problem.problem)
        limits = room_for(job, prompts, self._config.limits, self._context_tokens)
        return self._pair.controller(prompts, job.policy, limits, budget)


def _tick(on_tick: Callable[[int], None], size: int, running: int) -> None:
    on_tick(size - running)


@contextmanager
def _counted_if_kept(controller: SplitController) -> Iterator[None]:
    """End the controller; what a sample that is not kept has written does not count against the cap."""
    try:
        with controller:
            yield
    except BaseException:
        big_tokens = controller.big_tokens
        whole_spans = controller.hand_overs - controller.cut_spans
        controller.budget.record(
            small=big_tokens - len(controller.completion), big=-big_tokens, whole_spans=-whole_spans
        )
        raise


class _SampleError(Exception):
    """A model failed in the middle of a sample."""


@dataclass
class _Run:
    lock: asyncio.Lock
    on_done: OnDone
    streak: int = 0

    def __post_init__(self) -> None:
        self.failures: list[str] = []
        self._last = time.perf_counter()

    def lap(self) -> float:
        """The seconds since the last call, or the start."""
        last, self._last = self._last, time.perf_counter()
        return self._last - last


def room_for(
    job: DecodeJob, prompts: Mapping[Author, Sequence[int]], limits: Limits, context_tokens: Mapping[Author, int | None]
) -> Limits:
    """The limits that keep within what the job's models read. Raises InputError for a prompt that leaves no room."""
    known = {author: most for author in job.authors if (most := context_tokens[author]) is not None}
    for author, most in known.items():
        if (size := len(prompts[author])) + LEAST_ROOM_TOKENS > most:
            what = f"problem {job.problem.id!r}: its prompt has {size:,} tokens, the {author} model reads {most:,}"
            raise InputError(what, "Take models that read more, or leave the problem out")
    return replace(limits, context_tokens=known)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """What to raise of several: an error of ours if there is one."""
    leaves: list[BaseException] = []
    for error in errors.exceptions:
        leaves += [_first(error)] if isinstance(error, BaseExceptionGroup) else [error]
    return next((error for error in leaves if isinstance(error, SrxError)), leaves[0])
