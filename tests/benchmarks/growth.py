"""How time and peak memory of the verbs that read and write data grow with the number of rows.

    python tests/benchmarks/growth.py
    python tests/benchmarks/growth.py --rows 1000 16000
    python tests/benchmarks/growth.py --smallest

Rows are made up: a problem of their own, a reasoning of 40 lines, some 3 kB, and two of its lines as snippets.
`annotate` places those (`--annotator snippets`), and the other verbs read what it wrote. Each command is a process of
its own, whose CPU seconds are those of all its threads. Prints a table, and each row of it as soon as it is known.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

LINES = 40
PROSE = (
    "we let the sum of all terms be so then from this it follows that n is even and x divides y but wait that cannot "
    "hold since both sides are positive hence consider instead an integer prime root square modulo seven check again"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 16_000, 64_000, 256_000])
    parser.add_argument("--tokenizer", default="mini-small")
    parser.add_argument("--folder", type=Path, help="where the files go, instead of the folder for temporary ones")
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    table = Table("verb", "rows", "seconds", "CPU seconds", "peak MB")
    for count in [64] if arguments.smallest else arguments.rows:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            write_inputs(Path(folder), count)
            for name, command in commands(arguments.tokenizer).items():
                seconds, cpu, peak = measured(command, Path(folder))
                table.add_row(name, f"{count:,}", f"{seconds:.1f}", f"{cpu:.1f}", f"{peak:.0f}")
                print(f"{name}, {count:,} rows: {seconds:.1f} s, {cpu:.1f} s of CPU, {peak:.0f} MB", file=sys.stderr)
    Console().print(table)


def commands(tokenizer: str) -> dict[str, list[str]]:
    """What is run, in this order, by name."""
    annotated = ["--in", "annotated.jsonl"]
    return {
        "annotate": ["annotate", "--in", "traces.jsonl", "--out", "annotated.jsonl", *SNIPPETS],
        "stats": ["stats", "annotated.jsonl"],
        "build-sft": ["build-sft", *annotated, "--out", "sft.jsonl", "--decontaminate", "benchmark.jsonl"],
        "build-sft --check": ["build-sft", "--check", "--in", "sft.jsonl", "--traces", "annotated.jsonl"],
        "build-sft --dataset --tokenizer": [
            *["build-sft", *annotated, "--out", "counted.jsonl", "--decontaminate", "benchmark.jsonl"],
            *["--dataset", "set", "--tokenizer", tokenizer, "--max-tokens", "1000000"],
        ],
    }


SNIPPETS = ("--annotator", "snippets", "--snippets", "snippets.jsonl", "--snap", "line")


def write_inputs(folder: Path, count: int) -> None:
    """Traces, their snippets, and a benchmark of 500 problems that are none of theirs."""
    with (folder / "traces.jsonl").open("wb") as traces, (folder / "snippets.jsonl").open("wb") as snippets:
        for trace, found in made_up(count):
            traces.write(orjson.dumps(trace, option=orjson.OPT_APPEND_NEWLINE))
            snippets.write(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE))
    with (folder / "benchmark.jsonl").open("wb") as stream:
        for trace, _ in made_up(500, seed=1):
            stream.write(orjson.dumps({"problem": trace["problem"]}, option=orjson.OPT_APPEND_NEWLINE))


def made_up(count: int, seed: int = 0) -> Iterator[tuple[dict[str, str], dict[str, object]]]:
    """Traces, each with its snippets."""
    rng, words = random.Random(seed), PROSE.split()
    for number in range(count):
        lines = [
            f"{' '.join(rng.choices(words, k=12))} {rng.randrange(10**6)} = {rng.randrange(10**6)}"
            for _ in range(LINES)
        ]
        problem = f"{' '.join(rng.choices(words, k=30))} {rng.randrange(10**12)}?"
        name = f"row-{number}"
        yield (
            {"id": name, "problem": problem, "answer": str(number), "reasoning": "\n".join(lines)},
            {"id": name, "snippets": rng.sample(lines, 2)},
        )


def measured(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak resident MB of one command."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "splitreason_cli", *command],
        cwd=folder,
        env={**os.environ, "SRX_HOME": str(folder / "store")},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"srx {' '.join(command)} failed with {status}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
