"""How much of what is hard is marked where lines are long, under a cap of 20 % of the characters.

    python tests/benchmarks/marking.py
    python tests/benchmarks/marking.py --smallest

Each trace is 40 made-up sentences, on one line, on 5 or on 40, of which 3 to 6 are hard: every word of these surprises
the small model by 0 to 2.2 nats more than the big one, every other by less than .6, and they are the snippets of a
chat model. Recall is the share of the hard characters that lie in a span.
"""

import argparse
import random
import re

from rich.console import Console
from rich.table import Table

from splitreason_cli.annotating.alignment import AlignConfig, align
from splitreason_cli.annotating.annotators.surprisal import HardUnits, SurprisalConfig, annotated_with, hard_units
from splitreason_cli.records import markup
from splitreason_cli.records.data import HardSpan, Trace
from splitreason_cli.records.markup import Span
from splitreason_cli.records.sentences import sentences

WORDS = "the sum of both sides gives another factor so we check whether it fits and multiply by two"
SENTENCES, FRACTION, THRESHOLD = 40, 0.2, 0.7
LINES = (1, 5, 40)
BY = ("surprisal", "snippets", "snippets, --snap line")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=1000)
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    table = Table("lines", "marked by", "traces", "without a span", "recall", "share marked")
    for lines in LINES:
        for by in BY:
            table.add_row(f"{lines}", by, *measured(lines, by, 20 if arguments.smallest else arguments.traces))
    Console().print(table)


def measured(lines: int, by: str, count: int) -> tuple[str, str, str, str]:
    """Traces, those without a span, recall and share of the characters that are marked."""
    rng = random.Random(0)
    empty = found = hard_characters = marked_characters = characters = 0
    for _ in range(count):
        text, hard = trace(rng, lines)
        spans = [(span.start, span.end) for span in marked(rng, text, hard, by)]
        empty += not spans
        found += sum(max(0, min(end, right) - max(start, left)) for start, end in hard for left, right in spans)
        hard_characters += markup.covered(hard)
        marked_characters += markup.covered(spans)
        characters += len(text)
    recall, share = found / hard_characters, marked_characters / characters
    return f"{count:,}", f"{empty:,}", f"{recall:.3f}", f"{share:.3f}"


def trace(rng: random.Random, lines: int) -> tuple[str, list[Span]]:
    """A text on so many lines, and its hard sentences."""
    pieces = [f"{' '.join(rng.choices(WORDS.split(), k=rng.randint(6, 22))).capitalize()}." for _ in range(SENTENCES)]
    size = SENTENCES // lines
    text = "\n".join(" ".join(pieces[start : start + size]) for start in range(0, SENTENCES, size))
    return text, sorted(rng.sample(sentences(text), rng.randint(3, 6)))


def marked(rng: random.Random, text: str, hard: list[Span], by: str) -> tuple[HardSpan, ...] | list[HardSpan]:
    if by != "surprisal":
        snap = "line" if by.endswith("line") else "word"
        snippets = [text[start:end] for start, end in rng.sample(hard, len(hard))]
        return align(text, snippets, AlignConfig(fraction=FRACTION, snap=snap))[0]
    words = [match.span() for match in re.finditer(r"\S+", text)]
    gaps = [rng.uniform(0, 2.2) if any(a <= left < b for a, b in hard) else rng.uniform(-0.5, 0.6) for left, _ in words]
    units = (markup.line_spans(text, [(0, len(text))]), sentences(text), words)
    scored = ([(one.start, one.end, one.score) for one in hard_units(unit, words, gaps, THRESHOLD)] for unit in units)
    made_up = Trace(id="", problem="", answer="", reasoning=text)
    return annotated_with(made_up, HardUnits(*scored), SurprisalConfig("", "", THRESHOLD, FRACTION)).spans


if __name__ == "__main__":
    main()
