"""How fast completions are graded, and how often the verdicts are those of a data set.

    python tests/benchmarks/grading.py ../shared/data/traces_math500.jsonl
    python tests/benchmarks/grading.py --smallest

The file holds problems with `generations` and `correctness_math_verify`, one row a line. Its labels may count an answer
without a box, or in a text that was cut off; here that is wrong. Without a file a few made-up rows are taken.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from splitreason_cli.records.extraction import boxed_answer
from splitreason_cli.tasks.grader import TIMEOUT_SECONDS, WORKERS, Grader
from splitreason_cli.tasks.grading import Verdict
from splitreason_cli.tasks.numbers import integer_of

Case = tuple[str, str]
"""A completion and the gold answer."""

MADE_UP = (
    {"answer": "7", "generations": [r"\boxed{7}", "It is 7."], "correctness_math_verify": [True, True]},
    {"answer": r"\frac{1}{2}", "generations": [r"\boxed{0.5}", r"\boxed{2}"], "correctness_math_verify": [True, False]},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    cases, labels = read(arguments.file)
    answers = 20 if arguments.smallest else arguments.answers
    with Grader(arguments.workers, TIMEOUT_SECONDS) as grader:
        speed(grader, cases, answers)
        agreement(grader, cases, labels)


def read(file: Path | None) -> tuple[list[Case], list[bool]]:
    """All generations of the file with their gold answers, and what the file says of each."""
    rows = [orjson.loads(line) for line in file.read_bytes().splitlines()] if file else MADE_UP
    cases = [(text, row["answer"]) for row in rows for text in row["generations"]]
    return cases, [label for row in rows for label in row["correctness_math_verify"]]


def speed(grader: Grader, cases: Sequence[Case], count: int) -> None:
    boxed = [(text, gold) for text, gold in cases if boxed_answer(text)]
    latex = [case for case in boxed if integer_of(boxed_answer(case[0]) or "") is None or integer_of(case[1]) is None]
    started = time.perf_counter()
    grader.grade(latex[:1])
    Console().print(f"start of {grader.workers} processes: {time.perf_counter() - started:.1f} s")
    table = Table("answers", "different", "seconds", "answers/s")
    for name, chosen in (
        ("integers", distinct([case for case in boxed if case not in latex], count)),
        ("as in the file", drawn(boxed, count)),
        ("as in the file, all different", distinct(boxed, count)),
        ("no integers, all different", distinct(latex, count // 10)),
    ):
        first = time.perf_counter()
        grader.grade(chosen)
        seconds = time.perf_counter() - first
        questions = len({(boxed_answer(text), gold) for text, gold in chosen})
        speed = f"{len(chosen) / seconds:,.0f}"
        table.add_row(f"{len(chosen):,} {name}", f"{questions:,}", f"{seconds:.2f}", speed)
    Console().print(table)


def drawn(cases: Sequence[Case], count: int) -> list[Case]:
    return random.Random(0).choices(cases, k=count)


def distinct(cases: Sequence[Case], count: int) -> list[Case]:
    """As many cases, each answer plus its own number, so that none is graded twice."""
    return [
        (f"{text} \\boxed{{{boxed_answer(text)}+{n}}}" if integer_of(gold) is None else f"\\boxed{{{n}}}", gold)
        for n, (text, gold) in enumerate(drawn(cases, count))
    ]


def agreement(grader: Grader, cases: Sequence[Case], labels: Sequence[bool]) -> None:
    verdicts = grader.grade(cases)
    same = [verdict.correct == label for verdict, label in zip(verdicts, labels, strict=True)]
    boxed = [equal for equal, (text, _) in zip(same, cases, strict=True) if boxed_answer(text) is not None]
    console = Console()
    console.print(f"agreement: {sum(same)} of {len(same)}; {sum(boxed)} of {len(boxed)} completions with a box")
    for equal, case, verdict, label in zip(same, cases, verdicts, labels, strict=True):
        if not equal:
            console.print(disagreement(case, verdict, label), markup=False, highlight=False, soft_wrap=True)


def disagreement(case: Case, verdict: Verdict, label: bool) -> str:
    text, gold = case
    given = boxed_answer(text)
    said = verdict.reason or verdict.correct
    return f"srx {said}, file {label}: gold {gold!r}, box {given!r}, ends in {text[-60:]!r}"


if __name__ == "__main__":
    main()
