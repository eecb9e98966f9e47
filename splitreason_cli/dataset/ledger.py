"""What an unfinished build-sft has written, and how much of it a rerun may keep."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import orjson

from ..layouts.identity import UniqueIds
from ..records.data import Rejected, SftRecord
from ..store.artifacts import RECORDS, REJECTED
from ..store.disk_map import DiskMap
from ..store.journal import Journal
from ..store.jsonl import encode, read_lines, write_atomically
from ..store.source import Quarantine, raise_first_rejected
from .selection import SelectionTally
from .sft import Split

DROPPED = "dropped.jsonl"
"""Good traces that were left out, as `rejected` records in the artifact's folder."""
TALLY = "tally.json"
PROBLEMS = "problems.jsonl"
"""Digest and split of the problem of every kept record, while the work is unfinished."""
CHECKPOINT = "checkpoint.json"
SECONDS = 1.0
"""How much of the work a kill may cost."""


@dataclass
class Checkpoint:
    """How far the work is: `lines` of the input are dealt with; the other numbers are lengths of files in lines."""

    lines: int = 0
    kept: int = 0
    dropped: int = 0
    rejected: int = 0
    tally: SelectionTally = field(default_factory=SelectionTally)


class Ledger:
    """The files of a work folder, cut back to the last checkpoint, where they agree.

    Args:
        strict: raise the first bad line instead of quarantining it, also one that an earlier run has quarantined.

    Attributes:
        done: how far the work is. ids: those of the records.
        quarantine: where bad lines go.

    Raises RecordError for a bad line if `strict`, MachineError wherever a file cannot be written.
    """

    def __init__(self, work: Path, *, strict: bool) -> None:
        self.done = _checkpoint(work)
        self.ids = UniqueIds(DiskMap())
        self._work = work
        self._kept = _Output(work / RECORDS, self.done.kept)
        self._problems = _Output(work / PROBLEMS, self.done.kept)
        self._dropped = _Output(work / DROPPED, self.done.dropped)
        quarantine = Quarantine(work / REJECTED, keep=self.done.rejected)
        if strict:
            raise_first_rejected(work / REJECTED)
        self.quarantine = Quarantine() if strict else quarantine
        self._saved = -SECONDS

    def records(self) -> Iterator[bytes]:
        """The lines of the records that are kept; to be read before any is added, as their ids are taken."""
        for line in read_lines(self._work / RECORDS):
            self.ids.of(orjson.loads(line.data)["id"])
            yield line.data

    def problems(self) -> Iterator[tuple[bytes, Split]]:
        """Digest and split of the problems that are kept."""
        for line in read_lines(self._work / PROBLEMS):
            digest, split = orjson.loads(line.data)
            yield bytes.fromhex(digest), split

    def keep(self, record: SftRecord, problem: bytes) -> bytes:
        """Add a record, with a number behind an id that is taken, and the digest of its problem; returns its line."""
        record = replace(record, id=self.ids.of(record.id))
        self._problems.add(orjson.dumps([problem.hex(), record.split], option=orjson.OPT_APPEND_NEWLINE))
        return self._kept.add(encode(record))

    def drop(self, entry: Rejected) -> None:
        """Add a trace that was left out."""
        self._dropped.add(encode(entry))

    def settle(self, lines: int, tally: SelectionTally) -> None:
        """So many further lines of the input are dealt with: write down what became of them."""
        tally.quarantined = self.quarantine.count
        counts = self._kept.count, self._dropped.count, self.quarantine.count
        self.done = Checkpoint(self.done.lines + lines, *counts, tally)
        due = time.monotonic() - self._saved >= SECONDS
        for output in (self._kept, self._problems, self._dropped):
            output.flush(sync=due)
        if due:
            if self.quarantine.count:
                Journal(self._work / REJECTED).append([])
            write_atomically(self._work / CHECKPOINT, iter([msgspec.json.encode(self.done)]))
            self._saved = time.monotonic()

    def close(self) -> None:
        """Everything is dealt with: leave what belongs to the artifact."""
        self._kept.flush(sync=True)
        write_atomically(self._work / TALLY, iter([orjson.dumps(self.done.tally.to_dict())]))
        for name in (CHECKPOINT, PROBLEMS):
            (self._work / name).unlink(missing_ok=True)


class _Output:
    """A journal that is written a block at a time, cut to its first `count` lines."""

    def __init__(self, path: Path, count: int) -> None:
        self._journal = Journal(path)
        self._journal.restart(count)
        self.count = count
        self._lines: list[bytes] = []

    def add(self, line: bytes) -> bytes:
        self.count += 1
        self._lines.append(line)
        return line

    def flush(self, *, sync: bool) -> None:
        self._journal.append(self._lines, sync=sync)
        self._lines = []


def _checkpoint(work: Path) -> Checkpoint:
    try:
        return msgspec.json.decode((work / CHECKPOINT).read_bytes(), type=Checkpoint)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Checkpoint()
