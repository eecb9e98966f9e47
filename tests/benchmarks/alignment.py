"""How well and how fast altered snippets are placed, against a sliding difflib.SequenceMatcher on the same cases.

    python tests/benchmarks/alignment.py ../shared/data/traces_math500.jsonl
    python tests/benchmarks/alignment.py --smallest

Cuts 1,000 passages of 80 to 400 characters out of the file's traces, at white space, and edits 6 % of their characters:
a third each replaced, inserted and left out. Of a passage that occurs several times, any occurrence is right. Further
passages are shortened to their first and last 30 to 60 characters with an ellipsis between; and all edited passages at
once are looked for in the longest trace. Without a file the sample traces are taken.
"""

import argparse
import difflib
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from splitreason_cli.annotating.alignment import AlignConfig, place
from splitreason_cli.layouts.reading import Reading
from splitreason_cli.layouts.traces import traces_of
from splitreason_cli.records.data import Trace
from splitreason_cli.records.markup import Span
from splitreason_cli.store.embedded import MINI_TRACES

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789 \\$+="
Case = tuple[str, str, str]
"""A trace, a passage of it, and the passage after editing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=MINI_TRACES)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--difflib-cases", type=int, default=20, help="difflib takes seconds for each")
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    rows = map(orjson.loads, arguments.file.read_bytes().splitlines())
    texts = [
        trace.reasoning
        for row in rows
        for trace in traces_of(row, Reading(generations="all"))
        if isinstance(trace, Trace)
    ]
    count, difflib_count = (20, 2) if arguments.smallest else (arguments.cases, arguments.difflib_cases)
    cases = cut(texts, count)
    Console().print(compared(cases, difflib_count))
    Console().print(of_other_kinds(cases, max(texts, key=len)))


def compared(cases: list[Case], difflib_count: int) -> Table:
    """Both methods on the first `difflib_count` cases, srx on all of them too."""
    table = Table("method", "cases", "mean IoU", "IoU < .9", "not placed", "ms a snippet", "times faster")
    spans, seconds = timed(srx_place, cases)
    slow_spans, slow_seconds = timed(slide, cases[:difflib_count])
    same, same_seconds = timed(srx_place, cases[:difflib_count])
    ratio = slow_seconds / same_seconds
    for name, found, taken, faster in (
        ("srx", spans, seconds, ""),
        ("srx", same, same_seconds, f"{ratio:,.0f}"),
        ("difflib, sliding", slow_spans, slow_seconds, ""),
    ):
        ious = [iou(case, span) for case, span in zip(cases, found, strict=False)]
        low, lost = sum(value < 0.9 for value in ious), found.count(None)
        milliseconds = f"{1000 * taken / len(found):,.2f}"
        table.add_row(name, f"{len(found):,}", f"{np.mean(ious):.4f}", f"{low}", f"{lost}", milliseconds, faster)
    return table


def of_other_kinds(cases: list[Case], longest: str) -> Table:
    """Passages without their middle, and a reply of as many snippets as there are cases."""
    table = Table("snippets", "cases", "not placed", "mean IoU", "ms in all")
    rng = random.Random(0)
    shortened = [(text, passage, without_middle(passage, rng)) for text, passage, _ in cases]
    spans, seconds = timed(srx_place, shortened)
    mean = np.mean([iou(case, span) for case, span in zip(shortened, spans, strict=True)])
    table.add_row(
        "without their middle", f"{len(spans):,}", f"{spans.count(None)}", f"{mean:.4f}", f"{1e3 * seconds:,.0f}"
    )
    started = time.perf_counter()
    placed = place(longest, [case[2] for case in cases], AlignConfig())
    seconds = time.perf_counter() - started
    lost = sum(one.span is None for one in placed)
    table.add_row(
        f"all of one trace of {len(longest):,} characters", f"{len(placed):,}", f"{lost}", "", f"{1e3 * seconds:,.0f}"
    )
    return table


def without_middle(passage: str, rng: random.Random) -> str:
    if len(passage) < 3 * 60:
        return passage
    head, tail = passage[: rng.randint(30, 60)], passage[-rng.randint(30, 60) :]
    return f"{head.rpartition(' ')[0]}{rng.choice([' ... ', '…', ' [...] '])}{tail.partition(' ')[2]}"


def cut(texts: list[str], count: int) -> list[Case]:
    rng = random.Random(0)
    cases: list[Case] = []
    while len(cases) < count:
        text, length = rng.choice(texts), rng.randint(80, 400)
        if len(text) <= length + 10:
            continue
        start = rng.randrange(len(text) - length)
        start, end = text.rfind(" ", 0, start) + 1, text.find(" ", start + length)
        passage = text[start : end if end > 0 else len(text)].strip()
        cases.append((text, passage, edited(passage, rng)))
    return cases


def edited(passage: str, rng: random.Random, share: float = 0.06) -> str:
    letters = list(passage)
    for _ in range(round(share * len(passage))):
        place, kind = rng.randrange(len(letters)), rng.randrange(3)
        if kind == 0:
            letters[place] = rng.choice(LETTERS)
        elif kind == 1:
            letters.insert(place, rng.choice(LETTERS))
        else:
            del letters[place]
    return "".join(letters)


def srx_place(text: str, snippet: str) -> Span | None:
    return place(text, [snippet], AlignConfig())[0].span


def slide(text: str, snippet: str) -> Span | None:
    """The window of the snippet's length with the highest ratio, tried at every character."""
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(snippet)
    best, at = -1.0, 0
    for start in range(max(1, len(text) - len(snippet) + 1)):
        matcher.set_seq1(text[start : start + len(snippet)])
        ratio = matcher.ratio()
        best, at = (ratio, start) if ratio > best else (best, at)
    return at, at + len(snippet)


def timed(method: Callable[[str, str], Span | None], cases: list[Case]) -> tuple[list[Span | None], float]:
    """The spans that a method finds, and the seconds it took."""
    started = time.perf_counter()
    found = [method(text, snippet) for text, _, snippet in cases]
    return found, time.perf_counter() - started


def iou(case: Case, span: Span | None) -> float:
    """Intersection over union in characters with the nearest occurrence of the unedited passage."""
    if span is None:
        return 0.0
    text, passage, _ = case
    best, start = 0.0, text.find(passage)
    while start >= 0:
        end = start + len(passage)
        common = max(0, min(end, span[1]) - max(start, span[0]))
        best = max(best, common / (len(passage) + span[1] - span[0] - common))
        start = text.find(passage, start + 1)
    return best


if __name__ == "__main__":
    main()
