"""What a benchmark task is. A new one is a class in a file beside this one and a line in `tasks.named`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from ..records.data import Problem
from ..records.extraction import answer_in
from .grading import Verdict, mathematical_verdict, quick_verdict


@dataclass(frozen=True)
class Oracle:
    """Where the big model is needed, by knowledge of the task.

    Args:
        needs_big: whether to hand over after this text of a completion, of which the last 32 tokens are given.
        span: what the whole text of a span matches where the big model has done its part.
    """

    needs_big: Callable[[str], bool]
    span: re.Pattern[str]


class Task:
    """A benchmark: where its problems come from, how long answers get, how they are graded.

    A task names an `address` or makes its problems. What is not overridden holds for any file of mathematical problems.
    Grading runs in processes of its own too, so that a task is made without arguments and keeps nothing.

    Attributes:
        address: of the problems: a file, or an `hf://` dataset at a pinned commit, so that the task stays what it is.
        max_tokens: of a completion where nothing else is said; long chains of thought are not cut by the default.
        oracle: who knows where help is needed, if anybody does.
    """

    address: ClassVar[str] = ""
    max_tokens: ClassVar[int] = 32_768
    oracle: ClassVar[Oracle | None] = None

    def problems(self) -> Iterable[Problem]:
        """The problems of a task without an address, the same ones each time."""
        raise NotImplementedError(f"{type(self).__name__} needs an address, or to make its problems")

    def answer_in(self, completion: str) -> str | None:
        """The answer that a completion gives; None if it gives none."""
        return answer_in(completion)

    def quick_verdict(self, answer: str | None, gold: str) -> bool | None:
        """Whether an answer is right, where that is known at once; None where it takes `verdict`."""
        return quick_verdict(answer, gold)

    def verdict(self, answer: str | None, gold: str) -> Verdict:
        """Whether an answer is right, asked in a process that is killed if this takes too long."""
        return mathematical_verdict(answer, gold)
