"""Answers that cost something, kept for good: JSONL files that only grow, shared by every run that asks the same.

Each run appends to a file of its own and reads those of all others, so that array jobs need no coordination and a
rerun, a resumed run and a run with other alignment settings or a newer srx ask for nothing twice.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from .journal import Journal
from .jsonl import json_line

_SYNC_SECONDS = 1.0


class Replies:
    """Replies by key, on disk; in memory only where each one lies.

    Args:
        folder: the replies of one annotator with one set of questions.
        run: the name of this run, which no other process uses at the same time.
        others: further folders, whose replies are as good.
    """

    def __init__(self, folder: Path, run: str, others: Sequence[Path] = ()) -> None:
        self._own = Journal(folder / f"{run}.jsonl")
        found = [path for place in (folder, *others) for path in sorted(place.glob("*.jsonl"))]
        self._files = [self._own.path, *(path for path in found if path != self._own.path)]
        self._places: dict[str, tuple[int, int]] = {}
        self._length = self._own.path.stat().st_size
        self._synced = time.monotonic()
        self.spent: list[int] = [0, 0]
        """Prompt and completion tokens that this run has paid for so far, over all its restarts."""
        for number in range(len(self._files)):
            self._index(number)

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply under a key, or None."""
        if key not in self._places:
            return None
        number, offset = self._places[key]
        with self._files[number].open("rb") as stream:
            stream.seek(offset)
            value: dict[str, Any] = orjson.loads(stream.readline())
        return value

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Keep a reply, which may say what it cost under `tokens` ([prompt, completion])."""
        self._append({"key": key, **reply})
        self._places[key] = (0, self._last)

    def charge(self, key: str, reason: str, tokens: tuple[int, int]) -> None:
        """Write down what a useless reply has cost."""
        self._append({"failed": key, "reason": reason, "tokens": tokens})

    def _append(self, value: dict[str, Any]) -> None:
        line = json_line(value)
        due = time.monotonic() - self._synced > _SYNC_SECONDS
        self._own.append([line], sync=due)
        if due:
            self._synced = time.monotonic()
        self._last = self._length
        self._length += len(line)
        self._charge(value)

    def _index(self, number: int) -> None:
        for offset, value in _values(self._files[number]):
            if "key" in value:
                self._places.setdefault(value["key"], (number, offset))
            if number == 0:
                self._charge(value)

    def _charge(self, value: dict[str, Any]) -> None:
        tokens = value.get("tokens", (0, 0))
        self.spent = [before + more for before, more in zip(self.spent, tokens, strict=True)]


def _values(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The complete lines of a file that another process may be writing to, with their offsets."""
    with path.open("rb") as stream:
        offset = 0
        for line in stream:
            if line.endswith(b"\n"):
                yield offset, orjson.loads(line)
            offset += len(line)
