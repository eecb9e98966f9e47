"""The generations of a report, as an index and compressed blocks of text that the page inflates when it needs them."""

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ...records.data import Generation
from ..log_rows import unknown_in

BLOCK_CHARACTERS = 1 << 19
"""Text of one block. Small enough to open one trace at once, large enough to compress well."""

FIELDS = (
    "problem", "run", "sample", "correct", "tokens", "big_tokens", "spans", "refused", "cut", "unclosed", "seconds",
    "finish", "block", "place",
)  # fmt: skip
"""A generation's row of the index: `problem` and `run` are positions, its text is number `place` of block `block`."""


@dataclass(frozen=True)
class Cell:
    """The completions of one problem by one run: how many are right, of how many with a verdict."""

    right: int = 0
    graded: int = 0
    ungraded: int = 0

    @property
    def quarters(self) -> str:
        """The share that is right as a name of a style: 0 none, 1 to 3 some, 4 all, `none` without any verdict."""
        if not self.graded:
            return "none"
        return str(4 if self.right == self.graded else min(3, -(-4 * self.right // self.graded)))

    def add(self, correct: bool | None) -> "Cell":
        """The same with one completion more."""
        known = correct is not None
        return Cell(self.right + bool(correct), self.graded + known, self.ungraded + (not known))


@dataclass
class Traces:
    """What a page embeds: `index` and `blocks` are zlib streams in base64.

    Attributes:
        rows: for each problem, in order of first appearance, its id and its cells by run, None where it was not run.
    """

    index: str
    blocks: list[str]
    rows: list[tuple[str, list[Cell | None]]]
    generations: int


@dataclass
class _Packer:
    blocks: list[str] = field(default_factory=list)
    _texts: list[object] = field(default_factory=list)
    _characters: int = 0

    def add(self, generation: Generation) -> tuple[int, int]:
        """Returns the block and the place in it. A text is [text, for each segment: by big?, tokens, length]."""
        text = "".join(segment.text for segment in generation.segments)
        segments = [
            [int(segment.author == "big"), len(segment.token_ids), _utf16_length(segment.text)]
            for segment in generation.segments
        ]
        at = len(self.blocks), len(self._texts)
        self._texts.append([text, segments])
        self._characters += len(text)
        if self._characters >= BLOCK_CHARACTERS:
            self.flush()
        return at

    def flush(self) -> None:
        if self._texts:
            self.blocks.append(compressed(self._texts))
            self._texts, self._characters = [], 0


def pack(labels: Sequence[str], runs: Iterable[Iterable[Generation]]) -> Traces:
    """Pack the generations of `runs`, each read once and held one block at a time; `labels` name the runs."""
    packer = _Packer()
    problems: dict[str, tuple[int, str, str]] = {}
    cells: dict[tuple[int, int], Cell] = {}
    entries: list[tuple[object, ...]] = []
    for run, generations in enumerate(runs):
        for g in generations:
            problem = problems.setdefault(g.id, (len(problems), g.problem, g.answer))[0]
            cells[problem, run] = cells.get((problem, run), Cell()).add(g.correct)
            unknown = unknown_in(g)
            entries.append(
                (
                    problem,
                    run,
                    g.sample,
                    g.correct,
                    None if "tokens" in unknown else g.tokens,
                    None if "big_tokens" in unknown else g.big_tokens,
                    None if "authors" in unknown else g.spans,
                    g.refused,
                    g.cut,
                    g.unclosed,
                    None if "seconds" in unknown else round(g.seconds, 2),
                    g.finish_reason,
                    *packer.add(g),
                )
            )
    packer.flush()
    entries.sort(key=lambda entry: entry[:3])
    index = {
        "labels": labels,
        "problems": [[key, text, answer] for key, (_, text, answer) in problems.items()],
        "fields": FIELDS,
        "generations": entries,
    }
    rows = [(key, [cells.get((at, run)) for run in range(len(labels))]) for key, (at, _, _) in problems.items()]
    return Traces(compressed(index), packer.blocks, rows, len(entries))


def compressed(value: object) -> str:
    """JSON, deflated, in base64. Escaped to ASCII, so that even half a surrogate pair arrives as it was."""
    return base64.b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode())).decode()


def _utf16_length(text: str) -> int:
    """JavaScript counts UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def disagreements(rows: Sequence[tuple[str, list[Cell | None]]]) -> Iterator[bool]:
    """For each problem, whether runs differ in the share that is right."""
    for _, cells in rows:
        yield len({cell.right / cell.graded for cell in cells if cell and cell.graded}) > 1
