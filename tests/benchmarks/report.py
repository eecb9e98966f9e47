"""How much a report of a whole AIME24 run weighs, and how soon headless Chromium shows it.

    python tests/benchmarks/report.py --systems 1
    python tests/benchmarks/report.py --systems 8 --keep report.html
    python tests/benchmarks/report.py --smallest

Makes up generations of 30 problems x 16 samples x 8,000 tokens for each system: sentences of made-up words as frequent
as words are (Zipf), numbers and formulas. How far they shrink is printed, as the weight depends on that: 200 real
traces of a 27B reasoning model on MATH-500 shrink to 1/4.8. Wants playwright and a chromium or chrome on the PATH;
without them the page is only weighed.
"""

import argparse
import importlib.util
import random
import re
import shutil
import statistics
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from splitreason_cli.measuring.report.page import Report, write_report
from splitreason_cli.measuring.tally import tally
from splitreason_cli.records.data import BenchComparison, BenchResult, Generation, Segment

SYSTEMS: tuple[tuple[str, float | None, float, float], ...] = (
    ("small", None, 0.24, 0.0),
    ("split", 0.05, 0.41, 0.048),
    ("random", 0.05, 0.29, 0.047),
    ("big", None, 0.66, 1.0),
    ("split", 0.02, 0.33, 0.019),
    ("random", 0.02, 0.25, 0.018),
    ("split", 0.1, 0.47, 0.094),
    ("random", 0.1, 0.31, 0.095),
)
"""Name, budget, accuracy, offload share."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHARACTERS_A_TOKEN = 3
SPAN_TOKENS = 60
NEEDLE = "pentagrammatical"
OPENERS = (
    "So",
    "Wait,",
    "Therefore",
    "But",
    "Let me check:",
    "Hmm,",
    "Now",
    "Alternatively,",
    "First,",
    "We know that",
)


class Writer:
    """Endless made-up reasoning."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        syllables = [a + b for a in "bcdfghlmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "ing", "or", "es")]
        letters = random.Random(0)
        self.words = ["".join(letters.choices(syllables, k=letters.randint(1, 3))) for _ in range(3000)]
        self.weights = [1 / (rank + 2) for rank in range(len(self.words))]

        self.said: list[str] = []

    def sentence(self) -> str:
        """One in three was said before, as models do."""
        if self.said and self.random.random() < 0.33:
            return self.random.choice(self.said)
        self.said = [*self.said[-40:], self.new_sentence()]
        return self.said[-1]

    def new_sentence(self) -> str:
        words = self.random.choices(self.words, self.weights, k=self.random.randint(6, 18))
        if self.random.random() < 0.6:
            a, b = self.random.randint(2, 99), self.random.randint(2, 999)
            words.insert(3, self.random.choice((f"{a} × {b} = {a * b}", f"\\frac{{{a}}}{{{b}}}", f"x^2 + {a}x = {b}")))
        return f"{self.random.choice(OPENERS)} {' '.join(words)}.{self.random.choice(' ' * 3 + chr(10))}"

    def text(self, tokens: int) -> str:
        pieces: list[str] = []
        length = 0
        while length < tokens * CHARACTERS_A_TOKEN:
            pieces.append(self.sentence())
            length += len(pieces[-1])
        return "".join(pieces)[: tokens * CHARACTERS_A_TOKEN]


@dataclass(frozen=True)
class Size:
    """How much is made up for each system; `tokens` is the mean of a completion. The page is opened `runs` times."""

    systems: int = 1
    problems: int = 30
    samples: int = 16
    tokens: int = 8000
    runs: int = 7


SMALLEST = Size(systems=2, problems=3, samples=2, tokens=200, runs=1)


def generations(system: int, size: Size) -> Iterator[Generation]:
    """Sample by sample, as a benchmark writes them."""
    writer = Writer(system)
    for sample in range(size.samples):
        for problem in range(size.problems):
            yield generation(system, size, writer, sample, problem)


def generation(system: int, size: Size, writer: Writer, sample: int, problem: int) -> Generation:
    """The last one of a system ends in the needle that is searched for."""
    name, _, accuracy, share = SYSTEMS[system]
    draw = writer.random
    length = round(size.tokens * draw.uniform(0.5, 1.5))
    segments = list(segmented(writer, length, share))
    if (sample, problem) == (size.samples - 1, size.problems - 1):
        segments.append(Segment(author="small", token_ids=(0,), text=NEEDLE))
    cut_off = length > 1.4 * size.tokens
    chance = accuracy + 1.1 * (problem / size.problems - 0.5)
    return Generation(
        id=f"aime24-{problem + 1:02}",
        system=name,
        sample=sample,
        problem=f"Made-up problem {problem + 1}. {Writer(problem).text(60)}",
        answer=f"{37 * problem % 1000:03}",
        segments=tuple(segments),
        finish_reason="length" if cut_off else "stop",
        correct=None if draw.random() < 0.002 else draw.random() < chance and not cut_off,
        tokens=sum(len(s.token_ids) for s in segments),
        big_tokens=sum(len(s.token_ids) for s in segments if s.author == "big"),
        spans=sum(s.author == "big" for s in segments),
        refused=0,
        cut=0,
        unclosed=int(segments[-1].author == "big" and share < 1),
        seconds=length / 90,
    )


def segmented(writer: Writer, tokens: int, share: float) -> Iterator[Segment]:
    if share in (0, 1):
        yield Segment(author="big" if share else "small", token_ids=(0,) * tokens, text=writer.text(tokens))
        return
    left = tokens
    while left > 0:
        for author, mean in (("small", SPAN_TOKENS * (1 - share) / share), ("big", SPAN_TOKENS)):
            length = min(left, max(1, round(writer.random.expovariate(1 / mean))))
            if length:
                yield Segment(author=author, token_ids=(0,) * length, text=writer.text(length))
                left -= length


def run_of(system: int, size: Size) -> tuple[BenchResult, list[Generation]]:
    name, budget, *_ = SYSTEMS[system]
    written = list(generations(system, size))
    counts = tally(written)
    return counts.result(name, budget, "made up", task="aime24", samples=size.samples), written


def compared(name: str, budget: float | None, difference: float, p_value: float, problems: int) -> BenchComparison:
    return BenchComparison(
        task="aime24",
        system="split",
        offload_budget=0.05,
        baseline=name,
        baseline_budget=budget,
        difference=difference,
        ci95=(difference - 0.09, difference + 0.1),
        p_value=p_value,
        problems=problems,
    )


def make(path: Path, size: Size) -> tuple[int, float]:
    """Write the report. Returns the characters of all completions and the seconds that took."""
    runs = [run_of(system, size) for system in range(size.systems)]
    comparisons = [
        compared(name, budget, difference, p_value, size.problems)
        for name, budget, difference, p_value in (("small", None, 0.16, 0.0004), ("random", 0.05, 0.07, 0.17))
    ]
    started = time.perf_counter()
    write_report(path, Report("A made-up run of AIME24", ["Nothing here was measured."], runs, comparisons))
    seconds = time.perf_counter() - started
    return sum(len(s.text) for _, written in runs for g in written for s in g.segments), seconds


def measure(page: Any, address: str, first: str) -> tuple[float, float, float]:
    """Seconds until the page is usable, until a trace shows after Enter, and until a search of all text is through.

    `first` selects what opens a trace.
    """
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("html[data-ready]", state="attached")
    ready = time.perf_counter()
    page.locator(first).first.press("Enter")
    page.wait_for_selector("#completion:not(:empty)")
    opened = time.perf_counter()
    page.keyboard.press("/")
    searching = time.perf_counter()
    page.locator("#query").fill(NEEDLE)
    page.locator("#found").filter(has_text=re.compile(r"^[1-8] of [\d,]+ traces$")).wait_for()
    return ready - started, opened - ready, time.perf_counter() - searching


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=Size.systems, choices=range(1, len(SYSTEMS) + 1))
    parser.add_argument("--problems", type=int, default=Size.problems)
    parser.add_argument("--samples", type=int, default=Size.samples)
    parser.add_argument("--tokens", type=int, default=Size.tokens, help="mean of a completion")
    parser.add_argument("--runs", type=int, default=Size.runs)
    parser.add_argument("--keep", type=Path, help="leave the page here")
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    sizes = (arguments.systems, arguments.problems, arguments.samples, arguments.tokens, arguments.runs)
    size = SMALLEST if arguments.smallest else Size(*sizes)
    say = Console(highlight=False).print
    with tempfile.TemporaryDirectory() as folder:
        path = (arguments.keep or Path(folder) / "report.html").resolve()
        characters, seconds = make(path, size)
        sample = Writer(0).text(300_000).encode()
        shrink = len(sample) / len(zlib.compress(sample))
        say(f"{characters / 1e6:.1f} million characters, which shrink to 1/{shrink:.1f}")
        say(f"weight: {path.stat().st_size / 1e6:.1f} MB, written in {seconds:.1f} s")
        for line in opened(path, size.runs, "#grid td"):
            say(line)


def opened(path: Path, runs: int, first: str) -> Iterator[str]:
    """What it takes to open the page in a browser, a trace on it, and to search it for the needle."""
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser_path or not importlib.util.find_spec("playwright"):
        yield "no playwright, chromium or chrome: the page was not opened"
        return
    from playwright.sync_api import sync_playwright

    times = []
    with sync_playwright() as playwright:
        for _ in range(runs):
            browser = playwright.chromium.launch(executable_path=browser_path)
            times.append(measure(browser.new_page(), path.as_uri(), first))
            browser.close()
    names = ("page usable", "trace opened", "all searched")
    for what, column in zip(names, zip(*times, strict=True), strict=True):
        middle, low, high = statistics.median(column), min(column), max(column)
        yield f"{what}: {middle:.2f} s ({low:.2f} to {high:.2f}, {len(column)} runs)"


if __name__ == "__main__":
    main()
