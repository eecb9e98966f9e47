"""The synthetic task `mini`: a chain of operations on a three-digit number.

A problem is a start value and 5 to 9 labelled operations; its answer is the value after the last one, 0..999.
Seven kinds of operation are easy. One is hard: `#k` multiplies the last two digits by the two-digit prime `k` and
keeps the last three digits of the product, which a tiny model can only know by heart.

    482            a) 482+7
    a) +7          489
    b) .rev        b) 489.rev
    c) #37         984
    d) .end        c) 984#37
                   108
                   d) 108.end
"""

import random
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..records.data import Problem
from ..store.embedded import MINI_PROBLEMS
from .base import Oracle, Task

MULTIPLIERS = (13, 17, 23, 29, 37, 43, 47, 53, 67, 73, 83, 97)
"""The twelve `k` of the hard operation `#k`."""

DRILLED = (13, 29, 53, 83)
"""The multipliers whose products the embedded small model was taught. The big one was taught all twelve."""

EASY = (*(f"+{digit}" for digit in range(1, 10)), "*2", "*5", ".rev", ".rot", ".swp")
LABELS = "abcdefghij"
END = ".end"

_HARD_LINE = re.compile(r"#(\d\d)\n\Z")


@dataclass(frozen=True)
class MiniProblem:
    """A start value 0..999 and its operations, for example `("+7", ".rev", "#37")`."""

    start: int
    operations: tuple[str, ...]

    @property
    def text(self) -> str:
        """The problem as the models read it: the start value, then one labelled operation a line."""
        lines = [f"{self.start:03d}"]
        lines += [f"{label}) {op}" for label, op in zip(LABELS, (*self.operations, END), strict=False)]
        return "\n".join(lines)

    @property
    def values(self) -> tuple[int, ...]:
        """The value after each operation."""
        values, value = [], self.start
        for operation in self.operations:
            value = apply(operation, value)
            values.append(value)
        return tuple(values)

    @property
    def answer(self) -> int:
        return self.values[-1]

    @property
    def reasoning(self) -> str:
        """The worked solution: for each operation a line that states it and a line with its result."""
        lines, value = [], self.start
        for label, operation, result in zip(LABELS, self.operations, self.values, strict=False):
            lines += [f"{label}) {value:03d}{operation}", f"{result:03d}"]
            value = result
        lines.append(f"{LABELS[len(self.operations)]}) {value:03d}{END}")
        return "\n".join(lines)


def apply(operation: str, value: int) -> int:
    """The value after one operation, 0..999. Raises ValueError for an operation the task does not have."""
    a, b, c = value // 100, value // 10 % 10, value % 10
    match operation[0], operation[1:]:
        case "+", digit:
            return (value + int(digit)) % 1000
        case "*", factor:
            return value * int(factor) % 1000
        case "#", multiplier:
            return value % 100 * int(multiplier) % 1000
        case ".", "rev":
            return 100 * c + 10 * b + a
        case ".", "rot":
            return 100 * b + 10 * c + a
        case ".", "swp":
            return 100 * a + 10 * c + b
    raise ValueError(f"unknown operation {operation!r}")


def sample_problem(rng: random.Random, hard: Sequence[int] = (1, 2, 3)) -> MiniProblem:
    """Draw a problem of 5 to 9 operations, `hard` holding the equally likely numbers of hard ones."""
    count = rng.randint(5, 9)
    hard_count = min(count, rng.choice(hard))
    operations = [f"#{rng.choice(MULTIPLIERS)}" for _ in range(hard_count)]
    operations += [rng.choice(EASY) for _ in range(count - hard_count)]
    rng.shuffle(operations)
    return MiniProblem(rng.randrange(1000), tuple(operations))


def training_problems(count: int, held_out: Collection[str]) -> Iterator[Problem]:
    """The same `count` problems each time, none of which has the text of a `held_out` one."""
    rng, number = random.Random("train grpo"), 0
    while number < count:
        problem = sample_problem(rng)
        if problem.text not in held_out:
            yield Problem(id=f"mini-train-{number:04d}", problem=problem.text, answer=f"{problem.answer:03d}")
            number += 1


def hard_spans(reasoning: str, drilled: Sequence[int] = DRILLED) -> list[tuple[int, int]]:
    """The oracle: character ranges of the result lines whose product the small model was not taught."""
    spans, start = [], 0
    for line in reasoning.splitlines(keepends=True):
        if needs_big(reasoning[:start], drilled):
            spans.append((start, start + len(line.rstrip("\n"))))
        start += len(line)
    return spans


def needs_big(text: str, drilled: Sequence[int] = DRILLED) -> bool:
    """Whether the line that follows `text` is the result of a hard operation outside `drilled`."""
    match = _HARD_LINE.search(text)
    return match is not None and int(match.group(1)) not in drilled


class Mini(Task):
    """The 500 held-out problems, which are embedded."""

    address: ClassVar[str] = str(MINI_PROBLEMS)
    max_tokens: ClassVar[int] = 256
    oracle: ClassVar[Oracle | None] = Oracle(needs_big, re.compile(r"\d{3}"))
