"""JSONL in and out: `file:line` errors, compression by suffix, size limits, closed pipes."""

import codecs
import contextlib
import errno
import gzip
import io
import os
import re
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

_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|.)", re.DOTALL)
"""An escape in JSON; half of a surrogate pair is a group."""
_HALF_AS_BYTES = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_MEND = "Write text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace') in place of text"

_OTHER_FILES = {
    codecs.BOM_UTF16_LE: ("UTF-16", "Save it as UTF-8"),
    codecs.BOM_UTF16_BE: ("UTF-16", "Save it as UTF-8"),
    b"\x1f\x8b": ("gzip data", "Give its name the suffix .gz, or pipe it through gzip -dc"),
    b"\x28\xb5\x2f\xfd": ("zstd data", "Give its name the suffix .zst, or pipe it through zstd -dc"),
    b"PAR1": ("a parquet file", "Give its name the suffix .parquet"),
    b"PK\x03\x04": ("a zip archive", "Unpack it"),
}
"""What the files begin with that are plainly no JSONL."""
_ARRAY = re.compile(rb"\s*\[\s*(?:\{|\Z)")

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
            is_first = True
            while data := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if is_first and data.strip():
                    # Every stream that is opened here can be looked into.
                    follows = bool(cast(io.BufferedReader, stream).peek(1))
                    is_first, data = False, _first_line(data, label, follows=follows)
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


def _first_line(data: bytes, label: str, *, follows: bool) -> bytes:
    """The first line of a file without its byte order mark. Raises InputError for files that are plainly no JSONL."""
    for magic, (what, hint) in _OTHER_FILES.items():
        if data.startswith(magic):
            raise InputError(f"{label}: is {what}", hint)
    if b"\0" in data[:2]:
        raise InputError(f"{label}: is UTF-16", "Save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if _ARRAY.match(data):
        raise InputError(f"{label}: is one JSON array", "Write one record per line, such as by jq -c '.[]'")
    if data.strip() == b"{" and follows:
        raise InputError(f"{label}: its records go over several lines", "Write one a line, such as by jq -c .")
    return data


def decode(line: Line, read: Callable[[object], T]) -> T:
    """Parse one line by `read`, such as `Trace.from_dict`. Raises RecordError naming file, line and remedy."""
    if line.is_too_long:
        limit = MAX_LINE_BYTES // 2**20
        raise RecordError(line.where, f"the line is longer than {limit} MiB", "Write one record per line, or split it")
    try:
        value = orjson.loads(line.data)
    except orjson.JSONDecodeError as error:
        raise _why_broken(line, error) from None
    try:
        return read(value)
    except SchemaError as error:
        raise RecordError(line.where, str(error), "Correct the record, or see README for the record kinds") from None


def _why_broken(line: Line, error: orjson.JSONDecodeError) -> RecordError:
    try:
        text = line.data.decode("utf-8")
    except UnicodeDecodeError as fault:
        place = f"byte {fault.start + 1}"
        if _HALF_AS_BYTES.match(line.data, fault.start):
            return RecordError(line.where, f"{place}: half of a surrogate pair, which is no character", _MEND)
        return RecordError(line.where, f"{place} is not UTF-8", "Save the file as UTF-8")
    halves = (match for match in _ESCAPE.finditer(text) if match.group(1))
    if "surrogate" in error.msg and (half := next(halves, None)):
        what = f"column {half.start() + 1}: half of a surrogate pair ({half.group()}), which is no character"
        return RecordError(line.where, what, _MEND)
    hint = "Write JSON without NaN or Infinity" if "NaN" in text or "Infinity" in text else ""
    hint = hint or "Write one complete JSON object per line, as jq -c . FILE does"
    return RecordError(line.where, f"broken JSON at column {error.colno} ({error.msg})", hint)


def encode(record: Record) -> bytes:
    """The record as one JSONL line."""
    return json_line(record.to_dict())


def json_line(value: object) -> bytes:
    """A JSON value as one line of UTF-8, which has no half surrogate pairs: U+FFFD stands for one, as everywhere."""
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return orjson.dumps(_mended(value), option=orjson.OPT_APPEND_NEWLINE)


def _mended(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(item) for item in value]
    return value


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
