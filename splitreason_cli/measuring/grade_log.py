"""bench --from: grade and summarise generations that another program made."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..records.data import BenchResult, Generation, label
from ..store.artifacts import Store
from ..store.source import Quarantine
from ..tasks.grader import Grader
from ..tasks.tasks import TaskData, read_task
from .log_rows import completion_of
from .logs import SampleLog, read_sample_log
from .tally import tally

NO_COMPLETION = "the log holds no completion, as the request failed"
BATCH = 256


@dataclass(frozen=True)
class GradedLog:
    """A log's systems with their graded generations, and how many of the task's problems it has nothing for.

    `rejected` counts bad rows of the log.
    """

    log: SampleLog
    runs: tuple[tuple[BenchResult, list[Generation]], ...]
    missing: int
    rejected: int

    def warnings(self) -> Iterator[str]:
        """What its figures do not tell."""
        if self.log.failed:
            yield f"{self.log.failed:,} completions are not in the log, as their requests failed; they have no verdict"
        if self.missing:
            yield f"{self.missing:,} problems of the task are not in the log; nothing here counts them"
        if self.log.repeated:
            yield "all samples of a problem are the same text: decoding was greedy, or the seed was fixed"
        for result, generations in self.runs:
            counts = Counter(generation.id for generation in generations).values()
            if min(counts) < max(counts):
                yield (
                    f"{label(result.system, result.offload_budget)} has {min(counts)} to {max(counts)} samples a "
                    f"problem, and maj@{max(counts)} is of as many as there are"
                )


def bench_log(
    task: str,
    data: str | None,
    log: str,
    store: Store,
    rejected: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> GradedLog:
    """Grade a log on a task's problems. For errors see `read_task` and `read_sample_log`.

    Args:
        rejected: where bad rows of the log go; without it the first is raised. It exists after that if there are any.
    """
    read = read_task(task, store, data)
    problems = read.problems
    quarantine = Quarantine(rejected)
    found = read_sample_log(log, store, problems, quarantine=quarantine)
    groups: dict[tuple[str, float | None], list[Generation]] = {}
    done = 0
    with Grader(task=read.task) as grader:
        for start in range(0, len(found.generations), BATCH):
            for graded in _graded(grader, found.generations[start : start + BATCH]):
                groups.setdefault((graded.system, graded.offload_budget), []).append(graded)
                done += 1
            on_progress(done, len(found.generations))
    missing = len(problems) - len({generation.id for generation in found.generations})
    runs = tuple((_summary(read, generations), generations) for generations in groups.values())
    return GradedLog(found, runs, missing, quarantine.count)


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


def _summary(data: TaskData, generations: Sequence[Generation]) -> BenchResult:
    first = generations[0]
    counts = Counter(generation.id for generation in generations)
    return tally(generations, data.task.answer_in).result(
        first.system, first.offload_budget, "unknown", task=data.name, samples=max(counts.values())
    )
