"""The runs of a benchmark: every sample of a system, journalled as it finishes.

What is published is in order and whole: a run that was cut off goes on where it was, and a finished system is never
decoded again.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from ..models.loading import text_of
from ..models.sampling import Sampling
from ..records.data import Author, BenchResult, Extract, Generation, Problem, Segment
from ..split.budget import OffloadBudget
from ..split.limits import Limits
from ..split.policies import EntropyRecorder
from ..store.artifacts import RECORDS, Artifact, Recipe, Store
from ..store.digests import code_of
from ..store.journal import Journal, replay
from ..store.jsonl import encode, write_atomically
from ..tasks.grader import Grader
from ..tasks.grading import LIBRARIES as GRADING
from ..tasks.grading import Verdict
from ..tasks.mini import Mini
from ..tasks.tasks import TaskData, read_task
from .comparison import Verdicts
from .drivers import Decoded, DecodeJob, Driver, DriverConfig
from .systems.base import Sample, System
from .tally import Tally, finder
from .where import Backends

STAGE = "bench"
PILOT_PROBLEMS = 64
"""On how many problems the small model's entropies are measured, for the threshold of `entropy`."""


@dataclass(frozen=True)
class BenchConfig:
    """What every system of a run shares.

    `samples` completions a problem at `temperature` (0 is greedy) and `top_p`; `problems` limits how many are used
    (0: all); `max_tokens` bounds a completion; `batch_size` completions are decoded together. `data` is read in place
    of the task's own problems, `columns` say which of its columns hold what. `extract` says where an answer is looked
    for.
    """

    task: str = "mini"
    small: str = "mini-split"
    big: str = "mini-big"
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = Mini.max_tokens
    max_span_tokens: int | None = None
    problems: int = 0
    batch_size: int = 128
    seed: int = 0
    hint: bool = True
    data: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    extract: Extract = "box"


@dataclass(frozen=True)
class SystemRun:
    """A finished system: its result, its generations, their verdicts, and whether it was in the store already."""

    system: System
    result: BenchResult
    artifact: Artifact
    verdicts: Verdicts
    cached: bool


@dataclass(frozen=True)
class Watcher:
    """What is told while systems run.

    Args:
        on_start: a system and the number of its samples.
        on_generations: samples of it that are finished, those of an earlier run included.
        on_tick: how many more of those in flight have ended.
        on_status: what happens while models load.
    """

    on_start: Callable[[System, int], None] = lambda system, total: None
    on_generations: Callable[[Sequence[Generation]], None] = lambda generations: None
    on_tick: Callable[[int], None] = lambda ended: None
    on_status: Callable[[str], None] = lambda status: None


def read_problems(config: BenchConfig, store: Store) -> TaskData:
    """The problems of a run. For errors see `read_task`."""
    data = read_task(config.task, store, config.data, config.columns)
    return replace(data, problems=data.problems[: config.problems or None])


@dataclass(frozen=True)
class StoredGenerations:
    """The generations of a system's artifact in problem order, read anew each time and never all held."""

    artifact: Artifact

    def __iter__(self) -> Iterator[Generation]:
        return map(Generation.from_dict, replay(self.artifact.records))


class Runner:
    """Decodes systems with one pair of models, opened when the first system that is not in the store needs them."""

    def __init__(
        self,
        config: BenchConfig,
        store: Store,
        backends: Backends,
        watcher: Watcher,
        authors: Sequence[Author],
        *,
        needs_tags: bool,
    ) -> None:
        self.config, self.store, self.backends, self.watcher = config, store, backends, watcher
        self.authors, self.needs_tags = authors, needs_tags
        self.data = read_problems(config, store)
        # Asked for at once, so that what cannot be reached ends the run before any work.
        self._identities = backends.identities(authors)
        self.jobs = [(sample, problem) for sample in range(config.samples) for problem in self.data.problems]
        self._answer_in = finder(self.data.task, config.extract)
        self._stack, self._grader = ExitStack(), Grader(task=self.data.task, answer_in=self._answer_in)
        self._stack.callback(self._grader.close)
        self._driver: Driver | None = None

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, system: System) -> SystemRun:
        """Every sample of a system, from the store if it is there."""
        recipe = self._recipe({"system": system.settings()}, system.authors, type(system).__module__)
        self.watcher.on_start(system, len(self.jobs))
        artifact = self.store.find(recipe)
        cached = artifact is not None
        if artifact is None:
            with self.store.work(recipe) as work:
                self._decode_all(system, Journal(work / RECORDS))
                artifact = self.store.publish(recipe, work, len(self.jobs))
        counts = Tally(self._answer_in, self.config.extract)
        for generation in StoredGenerations(artifact):
            counts.add(generation)
            if cached:
                self.watcher.on_generations([generation])
        result = counts.result(
            system.name,
            system.offload_budget,
            system.policy_name,
            task=self.config.task,
            samples=self.config.samples,
            artifact=artifact.info.key,
        )
        return SystemRun(system, result, artifact, counts.verdicts, cached)

    def recipe_of_all(self, lineup: dict[str, Any]) -> Recipe:
        """What stands for all systems of a run, and is itself never made."""
        return self._recipe({"lineup": lineup}, self.authors)

    def _recipe(self, what: dict[str, Any], authors: Sequence[Author], *modules: str) -> Recipe:
        """Places of models and data do not matter, what lies there is in the inputs.

        Args:
            modules: those that decide what is decoded, beside this one.
        """
        others = {"small", "big"} - {*authors}
        inputs = {name: value for name, value in self._identities.items() if name not in others}
        places = ("small", "big", "data", "batch_size")
        config = {name: value for name, value in asdict(self.config).items() if name not in places}
        if self.data.code:
            config["task_source"] = self.data.code
        code = code_of(__name__, GRADING, modules).beside(self.backends.libraries(authors))
        return Recipe(STAGE, {**config, **what}, {"problems": self.data.digest, **inputs}, code)

    def _decode_all(self, system: System, journal: Journal) -> None:
        """Bring the journal to all samples, in order."""
        driver = self._open()
        finished = [Generation.from_dict(value) for value in replay(journal.path)]
        if len(finished) < len(self.jobs):
            # Of a batch that is not whole nothing is kept: its samples shared the budget while they were decoded.
            finished = finished[: len(finished) // driver.batch_size * driver.batch_size]
            journal.restart(len(finished))
        budget = OffloadBudget(system.cap)
        budget.record(
            small=sum(g.tokens - g.big_tokens for g in finished),
            big=sum(g.big_tokens for g in finished),
            whole_spans=sum(g.spans - g.cut for g in finished),
        )
        self.watcher.on_generations(finished)
        have = {(g.sample, g.id) for g in finished}
        jobs = [self._job(system, *job) for job in self.jobs if (job[0], job[1].id) not in have]

        def keep(decoded: list[Decoded]) -> None:
            generations = self._generations(system, decoded)
            journal.append([encode(generation) for generation in generations])
            self.watcher.on_generations(generations)

        driver.run(jobs, budget, keep, self.watcher.on_tick)
        self._sort(journal)

    def _sort(self, journal: Journal) -> None:
        """Put the samples in the order of the run, which servers do not finish them in."""
        order = [(sample, problem.id) for sample, problem in self.jobs]
        if [(value["sample"], value["id"]) for value in replay(journal.path)] == order:
            return
        place = {key: at for at, key in enumerate(order)}
        records = [Generation.from_dict(value) for value in replay(journal.path)]
        write_atomically(journal.path, map(encode, sorted(records, key=lambda g: place[g.sample, g.id])))

    def _generations(self, system: System, decoded: Sequence[Decoded]) -> list[Generation]:
        graded = self._grader.grade([(one.text, one.job.problem.answer) for one in decoded])
        return [self._generation(system, one, verdict) for one, verdict in zip(decoded, graded, strict=True)]

    def _generation(self, system: System, decoded: Decoded, verdict: Verdict) -> Generation:
        models, controller = self._open().models, decoded.controller
        problem = decoded.job.problem
        return Generation(
            id=problem.id,
            system=system.name,
            sample=decoded.job.sample,
            problem=problem.problem,
            answer=problem.answer,
            segments=tuple(
                Segment(author=author, token_ids=tuple(ids), text=text_of(models[author], ids))
                for author, ids in controller.segments
            ),
            finish_reason=controller.finish_reason or "error",
            correct=verdict.correct,
            tokens=len(controller.completion),
            big_tokens=controller.big_tokens,
            spans=controller.hand_overs,
            refused=controller.refused,
            cut=controller.cut_spans,
            unclosed=int(controller.policy.tagged and controller.ended_in_span),
            seconds=decoded.seconds,
            wall_seconds=decoded.wall_seconds,
            ungraded_reason=verdict.reason,
            offload_budget=system.offload_budget,
            hand_over_seconds=decoded.hand_over_seconds,
            extract=self.config.extract,
            extra=problem.extra,
        )

    def entropies(self) -> list[float]:
        """How uncertain the small model alone is, in nats, token by token on the first problems; measured once."""
        recipe = self._recipe({"pilot": PILOT_PROBLEMS}, ("small",))
        artifact = self.store.find(recipe)
        if artifact is None:
            recorders = [EntropyRecorder() for _ in self.data.problems[:PILOT_PROBLEMS]]
            jobs = [
                DecodeJob(0, problem, recorder, self._seed(0, problem.id))
                for recorder, problem in zip(recorders, self.data.problems, strict=False)
            ]
            with self.store.work(recipe, resumes=False) as work:
                self._open().run(jobs, OffloadBudget(), lambda decoded: None, lambda ended: None)
                journal = Journal(work / RECORDS)
                journal.append([orjson.dumps({"entropies": recorder.entropies}) + b"\n" for recorder in recorders])
                artifact = self.store.publish(recipe, work, len(recorders))
        return [float(value) for record in replay(artifact.records) for value in record["entropies"]]

    def _open(self) -> Driver:
        if self._driver is None:
            config = self.config
            limits = Limits(config.max_tokens, config.max_span_tokens)
            sampling = Sampling(config.temperature, config.top_p)
            self._driver = self.backends.open(
                self.authors,
                DriverConfig(limits, sampling, config.hint),
                needs_tags=self.needs_tags,
                stack=self._stack,
                on_status=self.watcher.on_status,
            )
        return self._driver

    def _job(self, system: System, sample: int, problem: Problem) -> DecodeJob:
        seed = self._seed(sample, problem.id)
        policy = system.policy(Sample(sample, problem.id, seed + 1, self.data.task))
        return DecodeJob(sample, problem, policy, seed, system.authors)

    def _seed(self, sample: int, problem: str) -> int:
        return random.Random(f"{self.config.seed}/{problem}/{sample}").getrandbits(63)
