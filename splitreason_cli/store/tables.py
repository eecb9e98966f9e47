"""Rows of parquet files and of Hugging Face datasets, as the JSONL lines they would be."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import orjson

from ..errors import InputError, UsageError
from ..records.record import JsonObject
from .digests import folder_digest
from .jsonl import Line, read_lines

if TYPE_CHECKING:
    from datasets import DatasetBuilder
    from pyarrow.parquet import ParquetFile

HUB = "hf://"
_QUERY = ("split", "name", "revision")
_FORMATS = {".jsonl", ".parquet", ".csv", ".tsv", ".arrow"}
_ROWS_AT_ONCE = 64
_STATUS = re.compile(r"\d{3} (Client|Server) Error\b")


@dataclass(frozen=True)
class HubDataset:
    """A dataset on the Hugging Face hub, or a local folder in its layout.

    Written as `hf://owner/dataset?split=train&name=default&revision=main`; only the path is required.
    """

    path: str
    split: str = "train"
    name: str | None = None
    revision: str | None = None

    @classmethod
    def parse(cls, address: str) -> "HubDataset":
        """Read an `hf://` address. Raises UsageError."""
        path, _, query = address.removeprefix(HUB).partition("?")
        values = {key: items[-1] for key, items in parse_qs(query).items()}
        if unknown := set(values) - set(_QUERY):
            raise UsageError(f"{address}: unknown {', '.join(sorted(unknown))}. Use {', '.join(_QUERY)}")
        path = path.removeprefix("datasets/").rstrip("/")
        if not path:
            raise UsageError(f"{address}: names no dataset. Write hf://owner/dataset?split=train")
        return cls(path, **values)

    def digest(self) -> str:
        """What identifies the rows: the commit on the hub, or the folder's content. Raises InputError."""
        if Path(self.path).is_dir():
            return f"{folder_digest(Path(self.path))}/{self.name}/{self.split}"
        from huggingface_hub import HfApi

        try:
            commit = HfApi().dataset_info(self.path, revision=self.revision).sha
        except Exception as error:  # noqa: BLE001 - the hub client raises whatever its HTTP library does
            raise _unreachable(self.path, error) from None
        return f"{commit}/{self.name}/{self.split}"

    def lines(self, label: str, commit: str) -> Iterator[Line]:
        """Stream the rows of that commit, called `label`. Raises InputError where the hub or a file fails."""
        import datasets

        is_folder = Path(self.path).is_dir()
        revision = None if is_folder else commit
        try:
            builder = datasets.load_dataset_builder(self.path, self.name, revision=revision)
            if is_folder:
                _refuse_mixed(Path(self.path), builder)
            files = _plain_files(builder, self.split) if is_folder else []
            for file in files:
                name = f"{HUB}{self.path}/{os.path.relpath(file, self.path)}"
                yield from as_lines(name, parquet_rows(file)) if _is_parquet(file) else read_lines(file, name)
            if not files:
                yield from as_lines(label, builder.as_streaming_dataset(split=self.split))
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - every reader of the library has exceptions of its own
            raise _unreadable(self.path, error) from None


def _refuse_mixed(folder: Path, builder: "DatasetBuilder") -> None:
    """Raises InputError for a folder of which the library would read the files of one format and pass over others."""
    taken = {str(file) for files in (builder.config.data_files or {}).values() for file in files}
    if not taken or (folder / "README.md").exists():
        return
    formats = {_format(Path(file)) for file in taken}
    left = (file for file in folder.rglob("*") if file.is_file() and _format(file) in _FORMATS - formats)
    if other := next((file for file in sorted(left) if str(file.resolve()) not in taken), None):
        what = f"holds {', '.join(sorted(formats))} and {_format(other)} files, of which one format would be read"
        raise InputError(f"{HUB}{folder}: {what}", f"Put {other.name} and its like into a folder of their own")


def _format(file: Path) -> str:
    """The suffix that says how a file is read."""
    suffixes = [suffix for suffix in file.suffixes if suffix not in (".gz", ".zst", ".zstd")]
    return {".ndjson": ".jsonl", ".json": ".jsonl"}.get(suffixes[-1], suffixes[-1]) if suffixes else ""


def _plain_files(builder: "DatasetBuilder", split: str) -> list[Path]:
    """The files of a split, if we can read them ourselves: each has a schema of its own, or none.

    The library casts every file to the types of the first one, and stops where a column that is null there holds text,
    or where a struct has one more field. Types that the data set declares are the library's to keep.
    """
    config = builder.config
    files = [Path(file) for file in (config.data_files or {}).get(split, [])]
    is_plain = builder.info.features is None and getattr(config, "field", None) is None
    if not is_plain or not all(_is_parquet(file) or _is_jsonl(file) for file in files):
        return []
    return [] if any(_is_parquet(file) and _has_rich_types(file) for file in files) else files


def _is_parquet(file: Path) -> bool:
    return file.suffix == ".parquet"


def _is_jsonl(file: Path) -> bool:
    """Whether a file holds one JSON object a line; a `.json` file may hold anything else."""
    suffixes = {suffix for suffix in file.suffixes[-2:] if suffix not in (".gz", ".zst")}
    if suffixes & {".jsonl", ".ndjson"}:
        return True
    if ".json" not in suffixes:
        return False
    try:
        return isinstance(orjson.loads(next(read_lines(file)).data), dict)
    except (orjson.JSONDecodeError, StopIteration, InputError):
        return False


def _has_rich_types(file: Path) -> bool:
    """Whether the library wrote types into a parquet file that are stored as something else, such as JSON as text."""
    with _parquet(file) as opened:
        noted = (opened.schema_arrow.metadata or {}).get(b"huggingface", b"")
    return any(b'"_type": "%b"' % name in noted for name in (b"Json", b"Image", b"Audio", b"Video", b"Pdf"))


def parquet_rows(path: Path) -> Iterator[JsonObject]:
    """The rows of a parquet file, a few at a time. Raises InputError."""
    with _parquet(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            yield from batch.to_pylist()


def parquet_length(path: Path) -> int:
    """The number of rows of a parquet file. Raises InputError."""
    with _parquet(path) as file:
        return int(file.metadata.num_rows)


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator["ParquetFile"]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield file
    # A text that is no UTF-8 is found only when it is taken out, as a ValueError.
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: cannot read as parquet ({_first_line(error)})", "Check the file") from None


def as_lines(label: str, rows: Iterable[JsonObject]) -> Iterator[Line]:
    """Rows as JSONL lines; `where` counts rows from 1."""
    for number, row in enumerate(rows, start=1):
        yield Line(f"{label}:{number}", orjson.dumps(row, default=str), is_too_long=False)


def _unreadable(path: str, error: Exception) -> InputError:
    """A fault of the library while it reads, by the first line of its innermost cause."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    said = _first_line(error)
    if not isinstance(error, (OSError, ValueError)):
        said = f"{type(error).__name__}: {said}"
    hint = "Check name, split and network; if its files differ in their columns, download it and give the folder"
    if Path(path).is_dir():
        hint = "Check its files, and the split and the name that are asked for"
    return InputError(f"{HUB}{path}: {said}", hint)


def _unreachable(path: str, error: Exception) -> InputError:
    hint = "Check name, split and network; a private dataset needs HF_TOKEN in the environment"
    return InputError(f"{HUB}{path}: {_first_line(error)}", hint)


def _first_line(error: Exception) -> str:
    """The first line that says what is wrong: the hub's client begins with the status of a reply."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in lines if not _STATUS.match(line)), lines[0]).rstrip(".")
