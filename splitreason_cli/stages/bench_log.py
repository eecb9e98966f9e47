"""bench --from: grade and summarise generations that another program made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..adapters.grader import Grader
from ..adapters.sample_logs import SampleLog, read_sample_log
from ..adapters.store import Store
from ..adapters.tasks import read_task
from ..core.bench_systems import System, summarize
from ..core.records import BenchResult, Generation
from ..core.sample_logs import UNKNOWN, completion_of

NO_COMPLETION = "the log holds no completion, as the request failed"
BATCH = 256


@dataclass(frozen=True)
class GradedLog:
    """A log's systems with their graded generations, and how many of the task's problems it has nothing for."""

    log: SampleLog
    runs: tuple[tuple[BenchResult, list[Generation]], ...]
    missing: int


def bench_log(
    task: str, data: str | None, log: str, store: Store, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> GradedLog:
    """Grade a log on a task's problems. For errors see `read_task` and `read_sample_log`."""
    problems = read_task(task, store, data).problems
    found = read_sample_log(log, store, problems)
    groups: dict[tuple[str, float | None], list[Generation]] = {}
    done = 0
    with Grader() as grader:
        for start in range(0, len(found.generations), BATCH):
            for graded in _graded(grader, found.generations[start : start + BATCH]):
                groups.setdefault((graded.system, graded.offload_budget), []).append(graded)
                done += 1
            on_progress(done, len(found.generations))
    missing = len(problems) - len({generation.id for generation in found.generations})
    runs = tuple((_summary(task, generations), generations) for generations in groups.values())
    return GradedLog(found, runs, missing)


def _graded(grader: Grader, generations: Sequence[Generation]) -> list[Generation]:
    texts = [completion_of(generation) for generation in generations]
    verdicts = iter(grader.grade([(t, g.answer) for t, g in zip(texts, generations, strict=True) if t is not None]))
    graded = []
    for text, generation in zip(texts, generations, strict=True):
        if text is None:
            graded.append(replace(generation, correct=None, ungraded_reason=NO_COMPLETION))
            continue
        verdict = next(verdicts)
        graded.append(replace(generation, correct=verdict.correct, ungraded_reason=verdict.reason))
    return graded


def _summary(task: str, generations: Sequence[Generation]) -> BenchResult:
    first = generations[0]
    system = System(first.system, first.offload_budget)
    counts: dict[str, int] = {}
    for generation in generations:
        counts[generation.id] = counts.get(generation.id, 0) + 1
    result = summarize(system, UNKNOWN, generations, task=task, samples=max(counts.values()))
    unknown = sorted({name for generation in generations for name in generation.extra.get(UNKNOWN, ())})
    return replace(result, extra={UNKNOWN: unknown}) if unknown else result
