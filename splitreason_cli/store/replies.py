"""Answers that cost something, kept for good: JSONL files that only grow, shared by every run that asks the same.

Each run appends to a file of its own and reads those of all others, so that array jobs need no coordination and a
rerun, a resumed run and a run with other alignment settings or a newer srx ask for nothing twice. Of runs at the same
time, one asks at a time about one key, and the others take what it got.
"""

import contextlib
import functools
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from .claims import Claims
from .journal import Journal
from .jsonl import json_line

_SYNC_SECONDS = 1.0


@dataclass
class _File:
    """A run's journal, and how many bytes of it have been read."""

    path: Path
    read: int = 0


class Replies:
    """Replies by key, on disk; in memory only where each one lies.

    Args:
        folder: the replies of one annotator with one set of questions.
        run: the name of this run, which no other process uses at the same time.
        others: further folders, whose replies are as good.
        is_afresh: forget what was refused before.
    """

    def __init__(self, folder: Path, run: str, others: Sequence[Path] = (), *, is_afresh: bool = False) -> None:
        self._folder = folder
        self._own = Journal(folder / f"{run}.jsonl")
        self._files = [_File(self._own.path)]
        self._places: dict[str, tuple[int, int]] = {}
        self._refused: dict[str, str] = {}
        self._useless: Counter[str] = Counter()
        self._sources: set[str] = set()
        self._synced = time.monotonic()
        self.spent: list[int] = [0, 0]
        """Prompt and completion tokens that this run has paid for so far, over all its restarts."""
        self.unsupported: set[str] = set()
        """Options that whoever answers does not take."""
        self._index(0)
        for place in (folder, *others):
            self._read_new(place)
        if is_afresh:
            self._refused.clear()
            self.unsupported.clear()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply under a key, or None."""
        if key not in self._places:
            return None
        number, offset = self._places[key]
        with self._files[number].path.open("rb") as stream:
            stream.seek(offset)
            value: dict[str, Any] = orjson.loads(stream.readline())
        return value

    def refusal(self, key: str) -> str | None:
        """Why this key was refused for good, or None."""
        return self._refused.get(key)

    def useless(self, key: str) -> int:
        """How many useless replies under this key were paid for."""
        return self._useless[key]

    def has_charged(self, source: str) -> bool:
        """Whether what comes from this source was written down before."""
        return source in self._sources

    @contextlib.asynccontextmanager
    async def claimed(self, key: str) -> AsyncIterator[None]:
        """Let no other process ask about this key; what one has got until now is there."""
        async with self._claims.of(key):
            self._read_new(self._folder)
            yield

    @functools.cached_property
    def _claims(self) -> Claims:
        return Claims(self._folder / "claims")

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Keep a reply in place of an earlier one. It may say what it cost under `tokens` ([prompt, completion])."""
        again = {"again": True} if key in self._places else {}
        self._places[key] = (0, self._append({"key": key, **again, **reply}))

    def charge(self, key: str, reason: str, tokens: tuple[int, int], source: str = "") -> None:
        """Write down what a useless reply has cost, and where it comes from if it may come again."""
        self._append({"failed": key, "reason": reason, "tokens": tokens, **({"source": source} if source else {})})

    def refuse(self, key: str, reason: str) -> None:
        """Write down that asking about this key has no use, for a reason that will not change."""
        self._append({"refused": key, "reason": reason})

    def note_unsupported(self, options: Iterable[str]) -> None:
        """Write down options that whoever answers does not take."""
        for option in set(options) - self.unsupported:
            self._append({"unsupported": option})

    def _append(self, value: dict[str, Any]) -> int:
        """Write a line; returns where it begins."""
        line = json_line(value)
        due = time.monotonic() - self._synced > _SYNC_SECONDS
        self._own.append([line], sync=due)
        if due:
            self._synced = time.monotonic()
        own = self._files[0]
        offset, own.read = own.read, own.read + len(line)
        self._note(value)
        self._charge(value)
        return offset

    def _read_new(self, folder: Path) -> None:
        """Index what other runs have written to a folder since."""
        known = {file.path for file in self._files}
        self._files += [_File(path) for path in sorted(folder.glob("*.jsonl")) if path not in known]
        for number, file in enumerate(self._files):
            if number and file.path.stat().st_size > file.read:
                self._index(number)

    def _index(self, number: int) -> None:
        file = self._files[number]
        for offset, line in _lines(file.path, file.read):
            value = orjson.loads(line)
            if "key" in value and ("again" in value or value["key"] not in self._places):
                self._places[value["key"]] = (number, offset)
            self._note(value)
            if number == 0:
                self._charge(value)
            file.read = offset + len(line)

    def _note(self, value: dict[str, Any]) -> None:
        if "refused" in value:
            self._refused[value["refused"]] = value["reason"]
        elif "failed" in value:
            self._useless[value["failed"]] += 1
            self._sources.update(filter(None, [value.get("source")]))
        elif "unsupported" in value:
            self.unsupported.add(value["unsupported"])

    def _charge(self, value: dict[str, Any]) -> None:
        tokens = value.get("tokens", (0, 0))
        self.spent = [before + more for before, more in zip(self.spent, tokens, strict=True)]


def _lines(path: Path, start: int) -> Iterator[tuple[int, bytes]]:
    """The complete lines from an offset on, of a file that another process may be writing to, with their offsets."""
    with path.open("rb") as stream:
        offset = stream.seek(start)
        for line in stream:
            if line.endswith(b"\n"):
                yield offset, line
            offset += len(line)
