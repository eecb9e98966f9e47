"""Views as an index and compressed blocks of text that a page inflates when it needs them."""

import base64
import hashlib
import json
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..store.jsonl import disk_fault
from .views import Part, View

BLOCK_CHARACTERS = 1 << 19
"""Text of one block. Small enough to open one text at once, large enough to compress well."""

FIELDS = ("name", "by", "sample", "correct", "share", "brief", "choices", "block", "place")
"""A view's row of the index: `name` and `by` are positions, its text is number `place` of block `block`."""

Row = tuple[int, int, int, bool | None, float | None, str, list[int], int, int]


@dataclass(frozen=True)
class FilterChoice:
    """What a filter can be set to: its `number` among those of all filters, and how many views it finds."""

    number: int
    name: str
    count: int


@dataclass
class Packed:
    """What a page embeds: the index and each line of the spool are zlib streams in base64.

    Attributes:
        facets: the filters, each with its choices in order of first appearance.
        has_shares: whether a view knows its share.
    """

    index: str
    spool: IO[bytes]
    count: int
    facets: dict[str, list[FilterChoice]]
    has_shares: bool

    def blocks(self) -> Iterator[str]:
        """Read back one by one, as all texts may be more than the memory holds."""
        self.spool.seek(0)
        for line in self.spool:
            yield line.decode("ascii").rstrip()


class Packer:
    """Takes views one by one; what it holds of each is its row, as the texts go to a temporary file.

    Args:
        bys: whose texts, each with its role, come first in the index, whether or not there are any.
    """

    def __init__(self, bys: Sequence[tuple[str, str]] = ()) -> None:
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115, it goes with the page.
        self._texts: list[object] = []
        self._blocks = self._characters = 0
        self._names: dict[str, int] = {}
        self._bys = {by: number for number, by in enumerate(bys)}
        self._problems: dict[bytes, tuple[int, int]] = {}
        self._choices: dict[tuple[str, str], list[int]] = {}
        self._taken: set[tuple[int, int, int]] = set()
        self._free: dict[tuple[int, int], int] = {}
        self._rows: list[Row] = []

    def add(self, view: View) -> None:
        """Pack one. Raises MachineError if the temporary file cannot be written."""
        name = self._names.setdefault(view.id, len(self._names))
        by = self._bys.setdefault((view.by, view.role), len(self._bys))
        problem = self._problem(view.problem)
        text = view.text
        block, place = self._put(
            {
                "text": text,
                "parts": [_packed(part) for part in view.parts],
                "problem": problem,
                "facts": list(view.facts.items()),
                "after": view.after,
                "words": [view.words.text, view.words.marked, view.words.rest, view.words.unit],
            },
            len(text) + sum(len(words) for _, words in view.after),
        )
        sample, share = self._sample(name, by, view.sample), None if view.share is None else round(view.share, 4)
        self._rows.append(
            (name, by, sample, view.correct, share, view.brief, self._numbers(view), block, place),
        )
        if self._characters >= BLOCK_CHARACTERS:
            self._flush()

    def finish(self, *, by_name: bool = False) -> Packed:
        """All that was added, in that order, or sorted by name, by whom and sample."""
        self._flush()
        if by_name:
            self._rows.sort(key=lambda row: row[:3])
        index = {"names": list(self._names), "bys": list(self._bys), "fields": FIELDS, "rows": self._rows}
        facets: dict[str, list[FilterChoice]] = {}
        for (facet, name), (number, count) in self._choices.items():
            facets.setdefault(facet, []).append(FilterChoice(number, name, count))
        shares = any(row[4] is not None for row in self._rows)
        return Packed(_compressed(index), self._spool, len(self._rows), self._telling(facets), shares)

    def _telling(self, facets: dict[str, list[FilterChoice]]) -> dict[str, list[FilterChoice]]:
        """The filters without those that let everything pass."""
        return {
            facet: choices
            for facet, choices in facets.items()
            if len(choices) > 1 or choices[0].count < len(self._rows)
        }

    def _problem(self, problem: str) -> tuple[int, int]:
        """Where a problem is; many views share one."""
        digest = hashlib.sha256(problem.encode("utf-8", "surrogatepass")).digest()
        if digest not in self._problems:
            self._problems[digest] = self._put(problem, len(problem))
        return self._problems[digest]

    def _sample(self, name: int, by: int, sample: int | None) -> int:
        """The sample, or a number that is still free: each view has an address of its own."""
        free = self._free.get((name, by), 0)
        sample = free if sample is None or (name, by, sample) in self._taken else sample
        self._taken.add((name, by, sample))
        self._free[name, by] = max(free, sample + 1)
        return sample

    def _numbers(self, view: View) -> list[int]:
        numbers = []
        for facet, names in view.facets.items():
            for name in names:
                choice = self._choices.setdefault((facet, name), [len(self._choices), 0])
                choice[1] += 1
                numbers.append(choice[0])
        return numbers

    def _put(self, text: object, characters: int) -> tuple[int, int]:
        self._texts.append(text)
        self._characters += characters
        return self._blocks, len(self._texts) - 1

    def _flush(self) -> None:
        if not self._texts:
            return
        try:
            self._spool.write(_compressed(self._texts).encode("ascii") + b"\n")
        except OSError as error:
            raise disk_fault(Path(tempfile.gettempdir()), error) from None
        self._blocks += 1
        self._texts, self._characters = [], 0


def _packed(part: Part) -> list[object]:
    """Whether it is marked, its size, its length, and its note if it has one."""
    packed: list[object] = [int(part.marked), part.size, _utf16_length(part.text)]
    return [*packed, part.note] if part.note else packed


def _compressed(value: object) -> str:
    """JSON, deflated, in base64. Escaped to ASCII, so that even half a surrogate pair arrives as it was."""
    return base64.b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode())).decode()


def _utf16_length(text: str) -> int:
    """JavaScript counts UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)
