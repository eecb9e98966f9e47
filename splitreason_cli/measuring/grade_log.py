"""bench --from: grade and summarise generations that another program made."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..records.data import BenchResult, Extract, Generation, label
from ..store.artifacts import Store
from ..store.source import Quarantine
from ..tasks.base import Task
from ..tasks.grader import Grader
from ..tasks.grading import Verdict
from ..tasks.tasks import read_task
from .log_labels import Disagreement, disagreement
from .log_rows import LABEL, completion_of
from .logs import SampleLog, read_sample_log
from .tally import AnswerIn, finder, tally

NO_COMPLETION = "the log holds no completion, as the request failed"
NO_GOLD = "there is no gold answer"
BATCH = 256


@dataclass(frozen=True)
class LogToGrade:
    """A log and how to grade it.

    Args:
        task: a task's name, or a file or dataset of problems; `data` is read in its place. It may be the log itself,
            whose own problems and answers count then.
        log: a file, or `-`; for its layouts see `measuring.log_rows`.
        system: what to call what made the completions, in place of what the log says.
        extract: where an answer is looked for.
        columns: which columns of the log hold what, see `layouts.reading`.
    """

    task: str
    log: str
    data: str | None = None
    system: str | None = None
    extract: Extract = "box"
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def is_own_task(self) -> bool:
        """Whether the log is graded by what stands in it."""
        return self.data is None and self.task == self.log


@dataclass(frozen=True)
class GradedLog:
    """A log's systems with their graded generations, and how many of the task's problems it has nothing for.

    `rejected` counts bad rows of the log. `disagreements` stand beside the runs, None where the log has no labels.
    `other_golds` are the ids of problems for which the log has another answer than the task.
    """

    log: SampleLog
    runs: tuple[tuple[BenchResult, list[Generation]], ...]
    missing: int
    rejected: int
    disagreements: tuple[Disagreement | None, ...]
    other_golds: tuple[str, ...] = ()

    def notes(self) -> Iterator[str]:
        """What was understood of the log, and what its labels say."""
        read = {what: name for what, name in self.log.columns.items() if what != name}
        if read:
            yield f"read {', '.join(f'{what} <- {name}' for what, name in read.items())}"
        for (result, _), found in zip(self.runs, self.disagreements, strict=True):
            if found:
                name = label(result.system, result.offload_budget)
                yield f"{name}: {found.describe(self.log.columns.get('label', ''))}"

    def warnings(self) -> Iterator[str]:
        """What its figures do not tell."""
        if self.log.failed:
            yield f"{self.log.failed:,} completions are not in the log, as their requests failed; they have no verdict"
        if self.missing:
            yield f"{self.missing:,} problems of the task are not in the log; nothing here counts them"
        if self.log.repeated:
            yield "all samples of a problem are the same text: decoding was greedy, or the seed was fixed"
        if self.other_golds:
            mine, theirs = self.log.golds[self.other_golds[0]]
            yield (
                f"{len(self.other_golds):,} problems have another answer in the log than in the task, whose answers "
                f"count: {self.other_golds[0]} has {theirs!r} there and {mine!r} here"
            )
        texts = {(generation.id, generation.problem) for _, made in self.runs for generation in made}
        if again := len(texts) - len({text for _, text in texts}):
            yield f"{again:,} problems have the text of another one: are they samples of it under an id of their own?"
        for result, generations in self.runs:
            name = label(result.system, result.offload_budget)
            counts = Counter(generation.id for generation in generations).values()
            if min(counts) < max(counts):
                yield (
                    f"{name} has {min(counts)} to {max(counts)} samples a problem, and maj@{max(counts)} is of as many "
                    "as there are"
                )
            reasons = Counter(one.ungraded_reason for one in generations if one.correct is None)
            del reasons[NO_COMPLETION]
            if reasons:
                told = "; ".join(f"{count:,} because {reason}" for reason, count in reasons.most_common(3))
                yield f"{name}: {reasons.total():,} of {len(generations):,} completions have no verdict: {told}"


def bench_log(
    asked: LogToGrade,
    store: Store,
    rejected: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> GradedLog:
    """Grade a log on a task's problems. For errors see `read_task`, `read_sample_log` and `tally.finder`.

    Args:
        rejected: where bad rows of the log go; without it the first is raised. It exists after that if there are any.
    """
    read = None if asked.is_own_task else read_task(asked.task, store, asked.data)
    task = read.task if read else Task()
    answer_in = finder(task, asked.extract)
    quarantine = Quarantine(rejected)
    found = read_sample_log(asked.log, store, read.problems if read else None, asked.system, quarantine, asked.columns)
    groups: dict[tuple[str, float | None], list[Generation]] = {}
    done = 0
    with Grader(task=task, answer_in=answer_in) as grader:
        for start in range(0, len(found.generations), BATCH):
            for graded in _graded(grader, found.generations[start : start + BATCH], asked.extract):
                groups.setdefault((graded.system, graded.offload_budget), []).append(graded)
                done += 1
            on_progress(done, len(found.generations))
        other_golds = _other_golds(grader, found)
    missing = len(read.problems) - len({generation.id for generation in found.generations}) if read else 0
    name = read.name if read else asked.task
    runs = tuple((_summary(name, made, answer_in, asked.extract), made) for made in groups.values())
    differences = tuple(disagreement(generations, answer_in, LABEL) for generations in groups.values())
    return GradedLog(found, runs, missing, quarantine.count, differences, other_golds)


def _other_golds(grader: Grader, log: SampleLog) -> tuple[str, ...]:
    pairs = {name: (theirs, mine) for name, (mine, theirs) in log.golds.items() if theirs and theirs != mine}
    verdicts = grader.grade([(f"\\boxed{{{theirs}}}", mine) for theirs, mine in pairs.values()])
    return tuple(name for name, verdict in zip(pairs, verdicts, strict=True) if verdict.correct is False)


def _graded(grader: Grader, generations: Sequence[Generation], extract: Extract) -> list[Generation]:
    texts = [completion_of(generation) for generation in generations]
    reasons = [NO_COMPLETION if text is None else "" for text in texts]
    reasons = [reason or ("" if g.answer.strip() else NO_GOLD) for reason, g in zip(reasons, generations, strict=True)]
    asked = [(text or "", g.answer) for text, g, why in zip(texts, generations, reasons, strict=True) if not why]
    verdicts = iter(grader.grade(asked))
    given = [Verdict(None, reason) if reason else next(verdicts) for reason in reasons]
    return [
        replace(generation, correct=verdict.correct, ungraded_reason=verdict.reason, extract=extract)
        for generation, verdict in zip(generations, given, strict=True)
    ]


def _summary(task: str, made: Sequence[Generation], answer_in: AnswerIn, extract: Extract) -> BenchResult:
    counts = Counter(generation.id for generation in made)
    return tally(made, answer_in, extract).result(
        made[0].system, made[0].offload_budget, "unknown", task=task, samples=max(counts.values())
    )
