"""Rows of parquet files and of Hugging Face datasets, as the JSONL lines they would be."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import orjson

from ..errors import InputError, UsageError
from ..records.record import JsonObject
from .digests import folder_digest
from .jsonl import Line

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

HUB = "hf://"
_QUERY = ("split", "name", "revision")
_ROWS_AT_ONCE = 64


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

    def rows(self, commit: str) -> Iterator[JsonObject]:
        """Stream the rows of that commit. Raises InputError where the hub or the network fails."""
        import datasets

        revision = None if Path(self.path).is_dir() else commit
        try:
            yield from datasets.load_dataset(self.path, self.name, split=self.split, revision=revision, streaming=True)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise _unreachable(self.path, error) from None


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
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: cannot read as parquet ({_first_line(error)})", "Check the file") from None


def as_lines(label: str, rows: Iterable[JsonObject]) -> Iterator[Line]:
    """Rows as JSONL lines; `where` counts rows from 1."""
    for number, row in enumerate(rows, start=1):
        yield Line(f"{label}:{number}", orjson.dumps(row, default=str), is_too_long=False)


def _unreachable(path: str, error: Exception) -> InputError:
    hint = "Check name, split and network; a private dataset needs HF_TOKEN in the environment"
    return InputError(f"{HUB}{path}: {_first_line(error)}", hint)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
