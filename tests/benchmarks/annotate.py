"""How fast and how big `srx annotate --annotator llm` is: traces per second, peak memory, and what a rerun costs.

    python tests/benchmarks/annotate.py ../shared/data/traces_math500.jsonl --traces 18000
    python tests/benchmarks/annotate.py --smallest

The rows of the file, or without one the sample traces, are repeated under fresh ids. The annotator is the scripted
endpoint of the tests, in a process of its own, with a latency of 50 ms; it returns verbatim lines. Prints a table.
"""

import argparse
import itertools
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from splitreason_cli.store.embedded import MINI_TRACES

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.scripted_endpoint import ScriptedEndpoint, serving

LATENCY_SECONDS = 0.05
START_SECONDS = 60.0
"""How long the endpoint may take until it listens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=MINI_TRACES)
    parser.add_argument("--traces", type=int, nargs="+", default=[4500, 18000])
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    table = Table("traces", "run", "seconds", "traces/s", "calls", "peak MB")
    for count in [64] if arguments.smallest else arguments.traces:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "traces.jsonl"
            repeat(arguments.file, count, source)
            for name, seconds, calls, peak in measure(source, Path(folder)):
                speed = f"{count / seconds:.0f}"
                table.add_row(f"{count:,}", name, f"{seconds:.1f}", speed, f"{calls:,}", f"{peak:.0f}")
    Console().print(table)


def repeat(file: Path, count: int, target: Path) -> None:
    """Write `count` rows, those of the file over and over with ids of their own."""
    rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    with target.open("wb") as stream:
        for number, row in enumerate(itertools.islice(itertools.cycle(rows), count)):
            stream.write(orjson.dumps({**row, "uuid": f"trace-{number}"}, option=orjson.OPT_APPEND_NEWLINE))


def measure(source: Path, folder: Path) -> list[tuple[str, float, int, float]]:
    """A first run and a rerun: name, seconds, calls, peak memory in MB."""
    calls = multiprocessing.Value("q", 0)
    address: multiprocessing.Queue[str] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(address, calls), daemon=True)
    server.start()
    url = address.get(timeout=START_SECONDS)
    annotator = ["--annotator", "llm", "--base-url", url, "--model", "scripted", "--generations", "all"]
    files = ["--in", source, "--out", folder / "annotated.jsonl"]
    command = [sys.executable, "-m", "splitreason_cli", "annotate", *files, *annotator]
    results = []
    for name in ("first", "again"):
        before, started = calls.value, time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, "SRX_HOME": str(folder / "store")})
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"srx failed with {status}")
        results.append((name, time.perf_counter() - started, calls.value - before, usage.ru_maxrss / 1024))
    server.terminate()
    return results


def serve(address: "multiprocessing.Queue[str]", calls: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
    def count(reasoning: str, call: int) -> str:
        with calls.get_lock():
            calls.value += 1
        return "good"

    with serving(ScriptedEndpoint(count, latency_seconds=LATENCY_SECONDS, keep_bodies=False)) as url:
        address.put(url)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        time.sleep(10**6)


if __name__ == "__main__":
    main()
