"""Journals: JSONL files that only grow, and survive whatever ends their process."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from .jsonl import disk_fault, read_lines


class Journal:
    """An append-only JSONL file that survives being killed: a torn last line is cut off when it is opened again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.touch()
            with path.open("r+b") as stream:
                stream.truncate(_complete_length(path))
        except OSError as error:
            raise disk_fault(path, error) from None

    def append(self, lines: list[bytes], *, sync: bool = True) -> None:
        """Add complete lines. Raises MachineError if the disk is full; what was written before stays.

        Without `sync` the lines survive the death of this process, but not that of the machine.
        """
        try:
            with self.path.open("ab") as stream:
                stream.write(b"".join(lines))
                stream.flush()
                if sync:
                    os.fsync(stream.fileno())
        except OSError as error:
            raise disk_fault(self.path, error) from None

    def restart(self, keep: int) -> None:
        """Drop all but the first `keep` lines."""
        with self.path.open("r+b") as stream:
            for _ in range(keep):
                stream.readline()
            stream.truncate(stream.tell())


def replay(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a journal or artifact, in order. It is only read; a journal has no torn line once it is opened."""
    for line in read_lines(path):
        yield orjson.loads(line.data)


def _complete_length(path: Path) -> int:
    """The number of bytes up to and including the last newline."""
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 2**16)
            stream.seek(start)
            found = stream.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
