"""Where a stage's records come from, and where the bad ones go."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson

from ..core.records import Rejected
from ..errors import InputError, PartialError, RecordError
from .jsonl import Line, decode, disk_fault, encode, read_lines, spool_stdin
from .store import Store, file_digest

T = TypeVar("T")

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """A readable input: `label` is what errors call it, `digest` identifies its bytes (empty if nobody asked)."""

    path: Path
    label: str
    digest: str

    @classmethod
    def stream(cls, name: str) -> "Source":
        """Read `name` once, or standard input if it is `-`, without keeping a copy."""
        return cls(Path(name), "<stdin>" if name == STDIN else name, "")

    @classmethod
    def open(cls, name: str, store: Store) -> "Source":
        """Read `name`, or standard input if it is `-`. Raises InputError if there is nothing to read."""
        if name != STDIN:
            path = Path(name)
            return cls(path, name, file_digest(path))
        spooled = spool_stdin(store.folder("spool"))
        digest = file_digest(spooled)
        path = spooled.with_name(f"{digest[:16]}.jsonl")
        spooled.replace(path)
        return cls(path, "<stdin>", digest)


class Quarantine:
    """Bad input lines, written to a file with the reason. Without a file, the first one is raised."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        if path:
            # A rerun reads the whole input again and would list every bad line twice.
            path.unlink(missing_ok=True)

    def add(self, line: Line, error: RecordError) -> None:
        """Write a bad line down. Raises `error` if there is no file, MachineError if it cannot be written."""
        if self.path is None:
            raise error
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
    return (record for _, record in read_located(source, read, quarantine, check))


def read_located(
    source: Source, read: Callable[[object], T], quarantine: Quarantine, check: Callable[[T], str | None] | None = None
) -> Iterator[tuple[Line, T]]:
    """The same as `read_records`, each record with the line it stood on."""
    empty = True
    for line in read_lines(source.path, source.label):
        empty = False
        try:
            record = decode(line, read)
            reason = check(record) if check else None
            if reason:
                raise RecordError(line.where, reason)
        except RecordError as error:
            quarantine.add(line, error)
        else:
            yield line, record
    if empty:
        raise InputError(f"{source.label}: the input is empty", "Give at least one JSONL record")


def raise_first_rejected(path: Path) -> None:
    """Raise the first record of a quarantine file, if there is one, as a strict reader would have."""
    for line in read_lines(path) if path.exists() else ():
        first = Rejected.from_dict(orjson.loads(line.data))
        raise RecordError(first.where, first.reason)


def raise_if_rejected(count: int, kept: int, where: Path) -> None:
    """Raise PartialError if records were quarantined."""
    if count:
        raise PartialError(
            f"{count:,} of {count + kept:,} records were rejected, see {where}", "Correct them and rerun"
        )
