"""Where a stage's records come from, and where the bad ones go."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson

from ..errors import InputError, MachineError, PartialError, RecordError
from ..records.data import Rejected
from .artifacts import Store
from .digests import file_digest
from .journal import Journal
from .jsonl import Line, decode, disk_fault, encode, read_lines, spool_stdin
from .tables import HUB, HubDataset, as_lines, parquet_length, parquet_rows

T = TypeVar("T")

STDIN = "-"
PARQUET = ".parquet"


@dataclass(frozen=True)
class Source:
    """A readable input: `label` is what errors call it, `digest` identifies its content (empty if nobody asked).

    It is a JSONL or parquet file, standard input, or a dataset of the Hugging Face hub.
    """

    path: Path
    label: str
    digest: str
    hub: HubDataset | None = None

    @classmethod
    def stream(cls, name: str) -> "Source":
        """Read `name` once, or standard input if it is `-`, without keeping a copy."""
        return cls(Path(name), "<stdin>" if name == STDIN else name, "")

    @classmethod
    def open(cls, name: str, store: Store) -> "Source":
        """Read `name`, or standard input if it is `-`. Raises InputError if there is nothing to read."""
        if name.startswith(HUB):
            hub = HubDataset.parse(name)
            return cls(Path(), name, hub.digest(), hub)
        if name != STDIN:
            path = Path(name)
            return cls(path, name, file_digest(path))
        spooled = spool_stdin(scratch_folder(store))
        digest = file_digest(spooled)
        path = spooled.with_name(f"{digest[:16]}.jsonl")
        spooled.replace(path)
        return cls(path, "<stdin>", digest)

    def lines(self) -> Iterator[Line]:
        """The records' lines, not yet parsed. Raises InputError if they cannot be read."""
        if self.hub:
            return as_lines(self.label, self.hub.rows(self.digest.split("/")[0]))
        if self.path.suffix == PARQUET:
            return as_lines(self.label, parquet_rows(self.path))
        return read_lines(self.path, self.label)

    def length(self) -> int | None:
        """The number of lines, for a progress bar; None where counting would cost a reading."""
        if self.hub or self.path.suffix in (".gz", ".zst", ".zstd"):
            return None
        if self.path.suffix == PARQUET:
            return parquet_length(self.path)
        with self.path.open("rb") as stream:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(2**20), b""))


def scratch_folder(store: Store, *, outlives: bool = False) -> Path:
    """For what a command needs beside its results: in the store, or a temporary one if the store is only to be read.

    A temporary one goes with this process, unless it `outlives` it.
    """
    try:
        return store.folder("spool")
    except MachineError:
        folder = Path(tempfile.mkdtemp(prefix="srx-"))
        if not outlives:
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder


class Quarantine:
    """Bad input lines, written to a file with the reason. Without a file, the first one is raised.

    Args:
        writes: False leaves the writing to another process that reads the same lines.
        keep: how many lines of an earlier run stay, whose input is not read again.

    Attributes:
        count: how many there were.
    """

    def __init__(self, path: Path | None = None, *, writes: bool = True, keep: int = 0) -> None:
        self.path, self.writes, self.count = path, writes, keep
        if path and keep:
            Journal(path).restart(keep)
        elif path and writes:
            # A rerun reads the whole input again and would list every bad line twice.
            path.unlink(missing_ok=True)

    def add(self, line: Line, error: RecordError) -> None:
        """Write a bad line down. Raises `error` if there is no file, MachineError if it cannot be written."""
        if self.path is None:
            raise error
        self.count += 1
        if not self.writes:
            return
        try:
            with self.path.open("ab") as stream:
                stream.write(encode(line.rejected(error.reason)))
        except OSError as fault:
            raise disk_fault(self.path, fault) from None


def read_records(
    source: Source, read: Callable[[object], T], quarantine: Quarantine, check: Callable[[T], str | None] | None = None
) -> Iterator[T]:
    """The good records of a source; the others go to the quarantine.

    Args:
        read: turns a JSON value into a record, such as `Trace.from_dict`.
        check: says what else is wrong with a record, or None.

    Raises:
        InputError: the source holds no lines at all.
        RecordError: a bad record, if the quarantine has no file.
    """
    for line, record in located_records(source, read, quarantine):
        if reason := check(record) if check else None:
            quarantine.add(line, RecordError(line.where, reason))
        else:
            yield record


def located_records(
    source: Source,
    read: Callable[[object], T],
    quarantine: Quarantine,
    rows: Callable[[Iterator[Line]], Iterator[Line]] = lambda lines: lines,
) -> Iterator[tuple[Line, T]]:
    """`read_records`, each record with the line that it came from. `rows` makes the lines to read of the source's."""
    empty = True
    for line in rows(source.lines()):
        empty = False
        try:
            record = decode(line, read)
        except RecordError as error:
            quarantine.add(line, error)
        else:
            yield line, record
    if empty:
        raise InputError(f"{source.label}: the input is empty", "Give at least one record")


def raise_first_rejected(path: Path) -> None:
    """Raise the first record of a quarantine file, if there is one, as a strict reader would have."""
    for line in read_lines(path) if path.exists() else ():
        first = Rejected.from_dict(orjson.loads(line.data))
        raise RecordError(first.where, first.reason)


def raise_if_rejected(count: int, kept: int | None, where: Path) -> None:
    """Raise PartialError if records were quarantined; `kept` counts the others, None if that is not known."""
    if count:
        of_all = "" if kept is None else f" of {count + kept:,}"
        raise PartialError(f"{count:,}{of_all} records were rejected, see {where}", "Correct them and rerun")
