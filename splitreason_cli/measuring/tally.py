"""What the generations of one system come to, counted one after another."""

from collections.abc import Callable, Iterable
from functools import partial

from ..errors import UsageError
from ..records.data import BenchResult, Extract, Generation
from ..records.extraction import answer_in as extracted
from ..records.extraction import boxed_answer
from ..records.measurement import unknown_in
from ..tasks.base import Task
from ..tasks.grading import normalized
from .log_rows import completion_of
from .statistics import Vote, bootstrap_ci95, maj_at_k, pass_at_1

AnswerIn = Callable[[str], str | None]
"""The answer that a completion gives; None if it gives none."""


def finder(task: Task, extract: Extract) -> AnswerIn:
    """What finds the answer of a completion: the task's own rules, or a looser extraction.

    Raises UsageError for a looser extraction where the task has rules of its own, which that would replace.
    """
    if extract == "box":
        return task.answer_in
    if type(task).answer_in is not Task.answer_in:
        raise UsageError(f"--extract {extract} would replace the rules that the task has for answers", "Leave it out")
    return partial(extracted, extract=extract)


class Tally:
    """Counts of one system's generations, which it keeps nothing else of.

    Args:
        answer_in: the answer that a completion gives, as `finder` finds it.
        extract: what that is called in the record.

    Attributes:
        count: how many there were.
        right, graded: how many of them are right, and have a verdict.
        verdicts: of each problem; samples and problems without one are left out.
        votes: of each problem.
    """

    def __init__(self, answer_in: AnswerIn = boxed_answer, extract: Extract = "box") -> None:
        self._answer_in, self._extract = answer_in, extract
        self.count = self.right = self.graded = self.tokens = self.big_tokens = 0
        self.verdicts: dict[str, list[bool]] = {}
        self.votes: dict[str, list[Vote]] = {}
        self._spans = self._truncated = self._unclosed = self._unanswered = self._measured_spans = 0
        self._seconds = self._hand_over_seconds = 0.0
        self._unknown: set[str] = set()

    def add(self, generation: Generation) -> None:
        """Count one more."""
        g = generation
        self.count += 1
        vote = vote_of(g, self._answer_in)
        self.votes.setdefault(g.id, []).append(vote)
        self._unanswered += vote[0] is None and completion_of(g) is not None
        if g.correct is not None:
            self.verdicts.setdefault(g.id, []).append(g.correct)
            self.right += g.correct
            self.graded += 1
        self.tokens += g.tokens
        self.big_tokens += g.big_tokens
        self._spans += g.spans
        self._truncated += g.finish_reason == "length"
        self._unclosed += g.unclosed
        self._seconds += g.seconds if g.wall_seconds is None else g.wall_seconds
        if g.hand_over_seconds is not None:
            self._hand_over_seconds += g.hand_over_seconds * g.spans
            self._measured_spans += g.spans
        self._unknown.update(unknown_in(g))

    def summary(self) -> str:
        """Accuracy, the mean over samples, and share in a few words."""
        accuracy = f"{self.right / self.graded:.3f}" if self.graded else "unknown"
        return f"pass@1 {accuracy}, offload {self.big_tokens / max(1, self.tokens):.1%}"

    def result(
        self, system: str, offload_budget: float | None, policy: str, *, task: str, samples: int, artifact: str = ""
    ) -> BenchResult:
        """The system's line. Generations without a verdict are left out of the accuracy, not of the token counts.

        What nothing tells is null: the accuracy where nothing has a verdict, and what the log of a generation left out.
        """
        correct, share = list(self.verdicts.values()), self.big_tokens / self.tokens if self.tokens else 0.0
        unknown = self._unknown
        return BenchResult(
            system=system,
            policy=policy,
            offload_budget=offload_budget,
            task=task,
            problems=len(self.votes),
            samples=samples,
            pass_at_1=pass_at_1(correct) if correct else None,
            ci95=bootstrap_ci95(correct) if correct else None,
            offload_share=None if unknown & {"tokens", "big_tokens"} else share,
            tokens=None if "tokens" in unknown else self.tokens,
            big_tokens=None if "big_tokens" in unknown else self.big_tokens,
            seconds=None if "seconds" in unknown else self._seconds,
            maj_at_k=maj_at_k(list(self.votes.values())) if samples > 1 else None,
            spans=None if "authors" in unknown else self._spans,
            truncated=None if "finish_reason" in unknown else self._truncated,
            unclosed=None if "authors" in unknown else self._unclosed,
            ungraded=self.count - self.graded,
            completions=self.count,
            unanswered=self._unanswered,
            hand_over_seconds=self._hand_over_seconds / self._measured_spans if self._measured_spans else None,
            artifact=artifact,
            extract=self._extract,
        )


def tally(
    generations: Iterable[Generation],
    answer_in: AnswerIn = boxed_answer,
    extract: Extract = "box",
) -> Tally:
    """The counts of these."""
    counts = Tally(answer_in, extract)
    for generation in generations:
        counts.add(generation)
    return counts


def vote_of(generation: Generation, answer_in: AnswerIn = boxed_answer) -> Vote:
    """What a sample answered, and with what verdict. All right answers count as one."""
    if generation.correct:
        return normalized(generation.answer), True
    answer = answer_in(completion_of(generation) or "")
    return normalized(answer) if answer else None, generation.correct
