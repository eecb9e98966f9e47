"""Every benchmark runs, at its smallest size, as the README says how to run it, and measures all that it announces."""

import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = sorted(path for path in Path(__file__).parent.rglob("*.py") if not path.name.startswith(("test_", "__")))
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
MEASURED = ("", "pass@1 [95 %]", "by seed", "share by seed", "spans", "difference [95 %]")
DECODED = ("temperature 1", "temperature .6, top_p .95", "greedy")


@dataclass(frozen=True)
class Rows:
    """A table: its columns, the start of each row's first cell, and how many cells of a row are numbers at least."""

    columns: tuple[str, ...]
    starts: tuple[str, ...]
    numbers: int
    title: str = ""


TABLES = {
    "alignment.py": [
        Rows(
            ("method", "cases", "mean IoU", "IoU < .9", "not placed", "ms a snippet", "times faster"),
            ("srx", "srx", "difflib, sliding"),
            5,
        ),
        Rows(
            ("snippets", "cases", "not placed", "mean IoU", "ms in all"),
            ("without their middle", "all of one trace"),
            3,
        ),
    ],
    "annotate.py": [Rows(("traces", "run", "seconds", "traces/s", "calls", "peak MB"), ("64", "64"), 5)],
    "grading.py": [
        Rows(
            ("answers", "different", "seconds", "answers/s", "math-verify", "ratio"),
            ("20 integers", "20 as in the file", "20 as in the file, all different", "2 no integers, all different"),
            4,
        )
    ],
    "grpo.py": [
        Rows(
            MEASURED,
            tuple(f"{stage}, {name}" for name in DECODED for stage in ("SFT", "GRPO")),
            4,
            "noisy labels, then GRPO to a budget of 5 %",
        ),
        Rows(
            MEASURED,
            tuple(
                f"{stage}, {name}"
                for name in DECODED[1:]
                for stage in ("SFT", "GRPO, closing sampled", "GRPO, closing argmax")
            ),
            4,
            "SFT at half the rate, stopped after 60 steps, then GRPO to a budget of 3.5 %",
        ),
        Rows(
            MEASURED,
            tuple(f"{name}, {budget}%" for budget in (2, 5, 8) for name in ("GRPO", "random", "SFT, capped")),
            4,
            "3 to 5 hard operations a problem",
        ),
        Rows(MEASURED, ("split", "solo"), 4, "rollouts with the big model, and the paper's without"),
        Rows(
            ("decoder", "tokens/s, median", "range", "big tokens a step", "tokens read"),
            ("lockstep", "prefix read at each turn", "the same, one rollout at a time"),
            4,
            "rollouts",
        ),
    ],
    "growth.py": [
        Rows(
            ("verb", "rows", "seconds", "CPU seconds", "peak MB"),
            ("annotate", "stats", "build-sft", "build-sft --check", "build-sft --dataset --tokenizer"),
            4,
        )
    ],
    "marking.py": [
        Rows(
            ("lines", "marked by", "traces", "without a span", "recall", "share marked"),
            ("1",) * 3 + ("5",) * 3 + ("40",) * 3,
            5,
        )
    ],
    "report.py": [],
    "serve.py": [],
    "show.py": [],
}
OPENED = r"page usable: [\d.]+ s .*\ntrace opened: [\d.]+ s .*\nall searched: [\d.]+ s |the page was not opened"
LINES = {
    "grading.py": (r"start of \d+ processes: [\d.]+ s", r"agreement: 3 of 4; 3 of 3 completions with a box"),
    "grpo.py": tuple(
        rf"seed 0 .*{part}.*: 2 steps in [\d.]+ min"
        for part in ("0.05}", "'sampled'", "'argmax'", "0.02,", "0.05,", "0.08,", "'solo'")
    ),
    "report.py": (
        r"[\d.]+ million characters, which shrink to 1/[\d.]+",
        r"weight: [\d.]+ MB, written in [\d.]+ s",
        OPENED,
    ),
    "serve.py": (
        r"4 streams of 25 tokens/s, 80 of 80 tokens came: latency median [\d.]+ ms, 95 % [\d.]+, 99 % [\d.]+",
        r"20 requests of 32 tokens in \d+ s: resident MB after each tenth [\d.]+(, [\d.]+){9}",
    ),
    "show.py": (
        r"records: [\d.]+ MB",
        r"page: [\d.]+ MB, [\d.]+ CPU s, peak \d+ MiB",
        OPENED,
    ),
}
"""Patterns of what a benchmark says outside of tables."""


def test_benchmarks_are_found_and_each_has_an_expectation():
    assert SCRIPTS
    assert {script.name for script in SCRIPTS} == TABLES.keys()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_measures_all_its_parts(script, tmp_path):
    said = smallest(script, tmp_path)
    found, wanted = tables(said), TABLES[script.name]
    assert [tuple(columns) for columns, _ in found] == [table.columns for table in wanted]
    for (_, rows), table in zip(found, wanted, strict=True):
        assert table.title in said
        for row, start in zip(rows, table.starts, strict=True):
            assert row[0].startswith(start)
            assert sum(math.isfinite(number) for cell in row for number in first_number(cell)) >= table.numbers, row
    for pattern in LINES.get(script.name, ()):
        assert re.search(pattern, said), pattern
    assert not re.search(r"\b(nan|inf)\b", said, re.IGNORECASE)


def smallest(script, folder):
    """What a script prints at its smallest size, on a terminal so wide that no cell is folded."""
    done = subprocess.run(
        [sys.executable, script, "--smallest"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tables(text):
    """The columns and the rows of each table that rich drew."""
    found = []
    for line in text.splitlines():
        if line.startswith("┃"):
            found.append(([cell.strip() for cell in line.strip("┃").split("┃")], []))
        elif line.startswith("│"):
            found[-1][1].append([cell.strip() for cell in line.strip("│").split("│")])
    return found


def first_number(cell):
    match = NUMBER.match(cell)
    return [float(match[0].replace(",", ""))] if match else []
