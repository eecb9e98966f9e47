"""What `srx show --html` needs for many annotated traces, how much the page weighs, and how soon it can be used.

    python tests/benchmarks/show.py --traces 20000
    python tests/benchmarks/show.py --traces 2000 --keep page.html
    python tests/benchmarks/show.py --smallest

The traces are made-up text of `report.py` beside this, up to 40 spans each. Peak memory is that of the whole command.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from splitreason_cli.records.data import AnnotatedTrace, HardSpan
from splitreason_cli.store.jsonl import encode, write_atomically

sys.path.insert(0, str(Path(__file__).parent))
from report import CHARACTERS_A_TOKEN, NEEDLE, Writer, opened

STOCK = 300
"""So many texts are made up; each trace is cut out of two of them."""


def traces(count: int, characters: int) -> Iterator[AnnotatedTrace]:
    """The last one ends in the needle that is searched for."""
    writer = Writer(0)
    draw = writer.random
    stock = [writer.text(characters // CHARACTERS_A_TOKEN) for _ in range(min(count, STOCK))]
    for number in range(count):
        cut = draw.randrange(characters // 2)
        text = draw.choice(stock)[cut:] + draw.choice(stock)[:cut]
        edges = sorted(draw.sample(range(len(text)), 2 * draw.randrange(41)))
        spans = zip(edges[::2], edges[1::2], strict=True)
        yield AnnotatedTrace(
            id=f"made-up-{number:05}",
            problem=f"Made-up problem {number}. {draw.choice(stock)[:250]}",
            answer=str(number),
            reasoning=text + (NEEDLE if number == count - 1 else ""),
            spans=tuple(HardSpan(start=start, end=end, score=draw.random()) for start, end in spans),
            annotator=draw.choice(("surprisal", "llm")),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=20_000)
    parser.add_argument("--characters", type=int, default=8_000, help="of a trace")
    parser.add_argument("--runs", type=int, default=5, help="how often the page is opened")
    parser.add_argument("--keep", type=Path, help="leave the page here")
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    if arguments.smallest:
        arguments.traces, arguments.characters, arguments.runs = 30, 600, 1
    say = Console(highlight=False).print
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "annotated.jsonl"
        page = (arguments.keep or Path(folder) / "page.html").resolve()
        write_atomically(records, map(encode, traces(arguments.traces, arguments.characters)))
        show = [sys.executable, "-m", "splitreason_cli", "show", str(records), "--html", str(page)]
        subprocess.run(show, check=True, stderr=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        say(f"records: {records.stat().st_size / 1e6:.1f} MB")
        seconds, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        say(f"page: {page.stat().st_size / 1e6:.1f} MB, {seconds:.1f} CPU s, peak {peak:.0f} MiB")
        for line in opened(page, arguments.runs, "#hits button"):
            say(line)


if __name__ == "__main__":
    main()
