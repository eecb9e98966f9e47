"""Verdicts on many completions; mathematics in processes that can be killed."""

import multiprocessing
import resource
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from types import TracebackType
from typing import Self

from pebble import ProcessExpired, ProcessPool

from ..errors import MachineError
from .base import Task
from .grading import Verdict

WORKERS = 2
TIMEOUT_SECONDS = 5.0
ALARM_MARGIN_SECONDS = 5.0
MEMORY_BYTES = 4 << 30
Question = tuple[str | None, str]
"""An answer, and the right one."""


class Grader:
    """Grades completions as a task does, but for answers that would hang or kill the process.

    What has a quick verdict, as integers do, gets it at once; the rest goes to `workers` processes, which start with
    the first such answer and stay until `close` or the end of a `with`. An answer that takes longer than
    `timeout_seconds`, or more than 4 GiB, has no verdict; its process is replaced. An error of ours is raised from
    `grade` as it is. `answer_in` finds answers in place of the task, as `extraction.answer_in` can do more loosely.
    """

    def __init__(
        self,
        workers: int = WORKERS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        task: Task | None = None,
        answer_in: Callable[[str], str | None] | None = None,
    ) -> None:
        self.workers, self.timeout_seconds, self.task = workers, timeout_seconds, task or Task()
        self._answer_in = answer_in or self.task.answer_in
        self._pool: ProcessPool | None = None

    def grade(self, completions: Sequence[tuple[str, str]]) -> list[Verdict]:
        """The verdicts of (completion, gold answer), in their order. Equal answers are graded once.

        Raises MachineError if the processes die without an answer to blame.
        """
        questions = [(self._answer_in(completion), gold) for completion, gold in completions]
        verdicts: dict[Question, Verdict] = {}
        waiting: dict[Question, Future[Verdict]] = {}
        for question in dict.fromkeys(questions):
            correct = self.task.quick_verdict(*question)
            if correct is None:
                waiting[question] = self._submit(question)
            else:
                verdicts[question] = Verdict(correct)
        for question, future in waiting.items():
            verdicts[question] = self._result(future)
        return [verdicts[question] for question in questions]

    def close(self) -> None:
        """End the processes, whatever they are at."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def _submit(self, question: Question) -> Future[Verdict]:
        if self._pool is None:
            self._pool = ProcessPool(self.workers, initializer=_prepare, context=_context())
        future: Future[Verdict] = self._pool.schedule(
            _verdict, args=(self.task, *question, self.timeout_seconds), timeout=self.timeout_seconds
        )
        return future

    def _result(self, future: Future[Verdict]) -> Verdict:
        try:
            return future.result()
        except TimeoutError:
            return Verdict(None, f"no verdict within {self.timeout_seconds:g} s")
        except BrokenProcessPool as error:
            raise MachineError("the processes that grade answers died", "Is memory left? Run it again") from error
        except ProcessExpired as error:
            return Verdict(None, f"the grading process died with code {error.exitcode}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _context() -> BaseContext:
    """How processes start: never by a fork of this one, which may hold torch's threads and their locks."""
    context = multiprocessing.get_context("forkserver")
    # The server loads the library once, so that a killed worker is replaced in milliseconds.
    context.set_forkserver_preload([Task.__module__, "math_verify"])
    return context


def _verdict(task: Task, answer: str | None, gold: str, timeout_seconds: float) -> Verdict:
    """In a worker. The alarm ends it also where the process that watches it was killed."""
    signal.setitimer(signal.ITIMER_REAL, timeout_seconds + ALARM_MARGIN_SECONDS)
    verdict = task.verdict(answer, gold)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return verdict


def _prepare() -> None:
    """In a new worker: loading the library counts towards no answer, and a huge number may not take all memory."""
    import math_verify  # noqa: F401

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
