"""bench: accuracy and offload share of several systems on the same problems.

small    the small model alone
big      the big model alone
split    the small model hands over where it writes the tag
random   hand-overs at random places, by default with the share and the mean span length that split achieved
oracle   task mini only: hands over exactly the lines the small model was not taught
"""

import itertools
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..adapters.embedded import MINI_PROBLEMS
from ..adapters.jsonl import encode
from ..adapters.models import default_device, load_pair, model_digest
from ..adapters.source import Quarantine, Source, read_records
from ..adapters.store import RECORDS, Artifact, Journal, Recipe, Store
from ..adapters.transformers import Request, Sampling, SplitDecoder, text_of
from ..core import mini
from ..core.budget import OffloadBudget
from ..core.comparison import verdicts, votes
from ..core.controller import Limits, SplitController
from ..core.grading import is_correct
from ..core.policies import Always, Learned, Never, Pattern, Policy, Random
from ..core.records import BenchResult, Generation, Problem, Segment
from ..core.statistics import bootstrap_ci95, maj_at_k, pass_at_1
from ..errors import UsageError

STAGE = "bench"
SYSTEMS = ("small", "big", "split", "random", "oracle")
TASKS = {"mini": MINI_PROBLEMS}


@dataclass(frozen=True)
class BenchConfig:
    """What every system of a run shares.

    `samples` completions a problem at `temperature` (0 is greedy) and `top_p`; `problems` limits how many are used
    (0: all); `max_tokens` bounds a completion; `batch_size` completions are decoded together.
    """

    task: str = "mini"
    small: str = "mini-split"
    big: str = "mini-big"
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    max_span_tokens: int | None = None
    problems: int = 0
    batch_size: int = 128
    seed: int = 0
    hint: bool = True


@dataclass(frozen=True)
class System:
    """One line of the table: a policy and the cap it runs under.

    `offload_budget` caps big tokens / all tokens over the run (None: no cap). `random_share` and
    `random_span_tokens` belong to the random policy.
    """

    name: str
    offload_budget: float | None = None
    random_share: float = 0.0
    random_span_tokens: int = 1


@dataclass(frozen=True)
class SystemRun:
    """A finished system: its result, its generations, and whether they were in the store already."""

    result: BenchResult
    artifact: Artifact
    cached: bool


def read_problems(config: BenchConfig, store: Store) -> tuple[Source, list[Problem]]:
    """The problems of a task or of a JSONL file.

    Raises InputError or RecordError if they cannot be read; none may be skipped.
    """
    source = Source.open(str(TASKS.get(config.task, config.task)), store)
    problems = list(read_records(source, Problem.from_dict, Quarantine()))
    return source, problems[: config.problems or None]


def bench(
    config: BenchConfig,
    systems: Sequence[str],
    budgets: Sequence[float | None],
    store: Store,
    *,
    chance: System | None = None,
    on_start: Callable[[System, int], None] = lambda system, total: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Iterator[SystemRun]:
    """Run the systems one after another, `split` and `random` once for each budget.

    Args:
        chance: the system `random`, if it is not to copy each `split`.
        on_start: called with each system and its number of completions, on_progress with how many of them are done.

    Raises:
        UsageError: an unknown system or task, or `random` without `split` or `chance`.
        ModelError: the models do not load.
    """
    _check(config, systems, chance)
    runner = _Runner(config, store, on_start, on_progress)
    for name in ("small", "big", "oracle"):
        if name in systems:
            yield runner.run(System(name))
    if "random" in systems and chance:
        yield runner.run(chance)
    for budget in budgets:
        if "split" in systems:
            split = runner.run(System("split", budget))
            yield split
            if "random" in systems and chance is None:
                spans = sum(generation.spans for generation in read_generations(split.artifact))
                length = round(split.result.big_tokens / spans) if spans else 1
                yield runner.run(System("random", budget, split.result.offload_share, max(1, length)))


def read_generations(artifact: Artifact) -> Iterator[Generation]:
    """The generations of a system's artifact, in problem order."""
    return (Generation.from_dict(value) for value in Journal(artifact.records).replay())


def summarize(
    system: System, policy: str, generations: Sequence[Generation], config: BenchConfig, seconds: float | None = None
) -> BenchResult:
    """One system's line. Generations without a verdict are left out of the accuracy, not of the token counts."""
    correct = list(verdicts(generations).values())
    tokens, big_tokens = sum(g.tokens for g in generations), sum(g.big_tokens for g in generations)
    return BenchResult(
        system=system.name,
        policy=policy,
        offload_budget=system.offload_budget,
        task=config.task,
        problems=len({generation.id for generation in generations}),
        samples=config.samples,
        pass_at_1=pass_at_1(correct),
        ci95=bootstrap_ci95(correct),
        offload_share=big_tokens / tokens if tokens else 0.0,
        tokens=tokens,
        big_tokens=big_tokens,
        seconds=sum(g.seconds for g in generations) if seconds is None else seconds,
        maj_at_k=maj_at_k(votes(generations)) if config.samples > 1 else None,
        spans=sum(g.spans for g in generations),
        truncated=sum(g.finish_reason == "length" for g in generations),
        unclosed=sum(g.unclosed for g in generations),
        ungraded=sum(g.correct is None for g in generations),
    )


def _check(config: BenchConfig, systems: Sequence[str], chance: System | None) -> None:
    if config.task not in TASKS and not Path(config.task).is_file():
        hint = f"Known tasks: {', '.join(TASKS)}; or give a JSONL file with problem and answer"
        raise UsageError(f"{config.task!r} is no task and no file", hint)
    if unknown := set(systems) - set(SYSTEMS):
        raise UsageError(f"unknown system {min(unknown)!r}", f"Known systems: {', '.join(SYSTEMS)}")
    if "random" in systems and "split" not in systems and chance is None:
        raise UsageError("system 'random' copies the share of 'split'", "Add split to --systems, or set --random-share")
    if config.samples > 1 and config.temperature == 0:
        raise UsageError("several greedy samples are the same sample", "Set --temperature, such as 0.6, or --samples 1")


class _Runner:
    """Decodes systems with one pair of models, loaded when the first system that is not in the store needs them."""

    def __init__(
        self,
        config: BenchConfig,
        store: Store,
        on_start: Callable[[System, int], None],
        on_progress: Callable[[int], None],
    ) -> None:
        self.config, self.store, self.on_start, self.on_progress = config, store, on_start, on_progress
        self.source, self.problems = read_problems(config, store)
        self.digests = {"small": model_digest(config.small), "big": model_digest(config.big)}
        self._decoder: SplitDecoder | None = None

    def run(self, system: System) -> SystemRun:
        config = {**asdict(self.config), "system": asdict(system)}
        recipe = Recipe(STAGE, config, {"problems": self.source.digest, **self.digests})
        jobs = [(sample, problem) for sample in range(self.config.samples) for problem in self.problems]
        self.on_start(system, len(jobs))
        artifact = self.store.find(recipe)
        cached = artifact is not None
        if artifact is None:
            with self.store.work(recipe) as work:
                done = self._decode_all(system, jobs, Journal(work / RECORDS))
                artifact = self.store.publish(recipe, work, done)
        generations = list(read_generations(artifact))
        return SystemRun(summarize(system, policy_name(system), generations, self.config), artifact, cached)

    def _decode_all(self, system: System, jobs: Sequence[tuple[int, Problem]], journal: Journal) -> int:
        """Batches are cut by position in the run, so that a resumed run decodes the same ones."""
        earlier = journal.replay()
        budget = OffloadBudget(system.offload_budget)
        done = 0
        for start in range(0, len(jobs), self.config.batch_size):
            batch = jobs[start : start + self.config.batch_size]
            finished = [Generation.from_dict(value) for value in itertools.islice(earlier, len(batch))]
            if len(finished) == len(batch):
                budget.record(
                    small=sum(g.tokens - g.big_tokens for g in finished),
                    big=sum(g.big_tokens for g in finished),
                    whole_spans=sum(g.spans - g.cut for g in finished),
                )
            else:
                journal.restart(done)
                journal.append([encode(generation) for generation in self._decode(system, batch, budget, done)])
            done += len(batch)
            self.on_progress(done)
        return done

    def _decode(
        self, system: System, batch: Sequence[tuple[int, Problem]], budget: OffloadBudget, done: int
    ) -> list[Generation]:
        decoder = self._load()
        requests = [
            Request(problem.problem, self._policy(system, seed), seed)
            for sample, problem in batch
            for seed in [_seed(self.config.seed, problem.id, sample)]
        ]
        started = time.perf_counter()
        controllers = decoder.decode(requests, budget, lambda running: self.on_progress(done + len(batch) - running))
        seconds = (time.perf_counter() - started) / len(batch)
        return [
            self._generation(system, sample, problem, controller, seconds)
            for (sample, problem), controller in zip(batch, controllers, strict=True)
        ]

    def _generation(
        self, system: System, sample: int, problem: Problem, controller: SplitController, seconds: float
    ) -> Generation:
        decoder = self._load()
        models = {"small": decoder.small, "big": decoder.big}
        return Generation(
            id=problem.id,
            system=system.name,
            sample=sample,
            problem=problem.problem,
            answer=problem.answer,
            segments=tuple(
                Segment(author=author, token_ids=tuple(ids), text=text_of(models[author], ids))
                for author, ids in controller.segments
            ),
            finish_reason=controller.finish_reason or "error",
            correct=is_correct(decoder.text(controller), problem.answer),
            tokens=len(controller.completion),
            big_tokens=controller.big_tokens,
            spans=controller.hand_overs,
            refused=controller.refused,
            cut=controller.cut_spans,
            unclosed=int(controller.policy.tagged and controller.ended_in_span),
            seconds=seconds,
            extra=problem.extra,
        )

    def _load(self) -> SplitDecoder:
        if self._decoder is None:
            small, big = load_pair(self.config.small, self.config.big, default_device(), one_vocabulary=False)
            limits = Limits(self.config.max_tokens, self.config.max_span_tokens)
            sampling = Sampling(self.config.temperature, self.config.top_p)
            self._decoder = SplitDecoder(small, big, limits, sampling, hint=self.config.hint)
            small.tag_ids()
        return self._decoder

    def _policy(self, system: System, seed: int) -> Policy:
        match system.name:
            case "small":
                return Never()
            case "big":
                return Always()
            case "random":
                return Random(system.random_share, system.random_span_tokens, random.Random(seed + 1))
            case "oracle":
                small, big = self._load().small, self._load().big
                return Pattern(
                    lambda ids: text_of(small, ids),
                    mini.needs_big,
                    re.compile(r"\d{3}"),
                    decode_span=lambda ids: text_of(big, ids),
                )
        return Learned()


def policy_name(system: System) -> str:
    """How the results call the policy of a system."""
    match system.name:
        case "small":
            return "never"
        case "big":
            return "always"
        case "random":
            return f"random({system.random_share:.4f}, {system.random_span_tokens})"
    return {"oracle": "pattern", "split": "learned"}[system.name]


def _seed(seed: int, problem: str, sample: int) -> int:
    return random.Random(f"{seed}/{problem}/{sample}").getrandbits(63)
