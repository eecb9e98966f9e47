"""JSONL in and out: `file:line` errors, compression by suffix, size limits, closed pipes."""

import codecs
import contextlib
import errno
import gzip
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import orjson

from ..errors import InputError, MachineError, RecordError
from ..records.data import Record, Rejected, SchemaError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the file system says when there is no room."""

MAX_LINE_BYTES = 16 * 2**20
KEPT_LINE_CHARACTERS = 2000

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """One physical line: `where` is `file:line`, `data` its bytes, cut at `MAX_LINE_BYTES`."""

    where: str
    data: bytes
    is_too_long: bool

    def rejected(self, reason: str) -> Rejected:
        """This line as a quarantine record."""
        text = self.data[: 4 * KEPT_LINE_CHARACTERS].decode("utf-8", "replace")[:KEPT_LINE_CHARACTERS]
        return Rejected(where=self.where, reason=reason, line=text)


def read_lines(path: Path, name: str | None = None) -> Iterator[Line]:
    """The non-empty lines of a file, which may be gzip or zstd by its suffix; `-` is standard input.

    Args:
        name: what to call the file in errors, if not its path.

    Raises:
        InputError: the file is missing, is no file, or its compression is broken.
    """
    label = name or str(path)
    if path.suffix in (".csv", ".tsv"):
        hint = "Convert it to JSONL or parquet, or give the folder that holds it as hf://FOLDER"
        raise InputError(f"{label}: {path.suffix[1:].upper()} is not read", hint)
    try:
        with _open_binary(path) as stream:
            number = 0
            while data := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if number == 1:
                    data = _first_line(data, label)
                is_too_long = len(data) > MAX_LINE_BYTES
                if is_too_long:
                    _skip_line(stream)
                if data.strip():
                    yield Line(f"{label}:{number}", data, is_too_long)
    except FileNotFoundError:
        raise InputError(f"{label}: no such file", "Check the path, or use - for standard input") from None
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(f"{label}: {error.strerror}", "Give a JSONL file that you may read") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise InputError(f"{label}: broken gzip data ({error})", "Compress the file again") from None
    except _zstd_error() as error:
        raise InputError(f"{label}: broken zstd data ({error})", "Compress the file again") from None


def _first_line(data: bytes, label: str) -> bytes:
    """The first line of a file without its byte order mark. Raises InputError for files that are plainly no JSONL."""
    if data.strip() == b"[" or data.startswith(b"[{"):
        raise InputError(f"{label}: is one JSON array", "Write one record per line, such as by jq -c '.[]'")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{label}: is UTF-16", "Save it as UTF-8")
    return data.removeprefix(codecs.BOM_UTF8)


def decode(line: Line, read: Callable[[object], T]) -> T:
    """Parse one line by `read`, such as `Trace.from_dict`. Raises RecordError naming file, line and remedy."""
    if line.is_too_long:
        limit = MAX_LINE_BYTES // 2**20
        raise RecordError(line.where, f"the line is longer than {limit} MiB", "Write one record per line, or split it")
    try:
        value = orjson.loads(line.data)
    except orjson.JSONDecodeError as error:
        try:
            line.data.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise RecordError(line.where, f"byte {fault.start + 1} is not UTF-8", "Save the file as UTF-8") from None
        hint = "Write JSON without NaN or Infinity" if b"NaN" in line.data or b"Infinity" in line.data else ""
        hint = hint or "Write one complete JSON object per line, as jq -c . FILE does"
        raise RecordError(line.where, f"broken JSON at column {error.colno} ({error.msg})", hint) from None
    try:
        return read(value)
    except SchemaError as error:
        raise RecordError(line.where, str(error), "Correct the record, or see README for the record kinds") from None


def encode(record: Record) -> bytes:
    """The record as one JSONL line."""
    return orjson.dumps(record.to_dict(), option=orjson.OPT_APPEND_NEWLINE)


def spool_stdin(folder: Path) -> Path:
    """Copy standard input to a file in `folder`, so that it can be digested, and read again by a rerun."""
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal", "Pipe records in, or name a file with --in")
    with tempfile.NamedTemporaryFile(dir=folder, prefix="stdin-", suffix=".jsonl", delete=False) as spool:
        for chunk in iter(lambda: sys.stdin.buffer.read(2**20), b""):
            spool.write(chunk)
    return Path(spool.name)


def write_atomically(path: Path, chunks: Iterator[bytes]) -> None:
    """Write a file that exists completely or not at all, compressed by its suffix.

    A symbolic link stays one, and what is no regular file, such as a pipe or a device, is written into.
    Raises MachineError if the disk is full or the folder may not be written.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        return _write_into(path, chunks)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as raw:
            with _compressed(raw, path.suffix) as stream:
                for chunk in chunks:
                    stream.write(chunk)
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise disk_fault(path, error) from None


def _write_into(path: Path, chunks: Iterator[bytes]) -> None:
    try:
        with path.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
    except OSError as error:
        raise disk_fault(path, error) from None


def disk_fault(path: Path, error: OSError) -> MachineError:
    """The one-line error for a write that the file system refused."""
    is_full = error.errno in FULL
    hint = "Free some space; a rerun goes on where this one stopped" if is_full else "Give a path that can be written"
    return MachineError(f"{path}: cannot write ({error.strerror or error})", hint)


def print_line(data: bytes) -> None:
    """Write one line to standard output at once. Raises BrokenPipeError when the reader has gone."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _open_binary(path: Path) -> BinaryIO:
    if str(path) == "-":
        return sys.stdin.buffer
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix in (".zst", ".zstd"):
        import zstandard

        return io.BufferedReader(cast(io.RawIOBase, zstandard.open(path, "rb")))
    return path.open("rb")


@contextlib.contextmanager
def _compressed(raw: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    if suffix == ".gz":
        # No name and a fixed time stamp keep equal content equal as a file.
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as stream:
            yield cast(BinaryIO, stream)
    elif suffix in (".zst", ".zstd"):
        import zstandard

        with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield raw


def _zstd_error() -> type[Exception]:
    if "zstandard" in sys.modules:
        return cast(type[Exception], sys.modules["zstandard"].ZstdError)
    return EOFError


def _skip_line(stream: BinaryIO) -> None:
    while chunk := stream.readline(2**20):
        if chunk.endswith(b"\n"):
            return
