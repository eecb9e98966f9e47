"""A Hugging Face dataset folder as the Hub lays it out: Parquet by split, and a data card."""

import contextlib
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from .. import __version__
from ..errors import InputError
from ..records.data import JsonObject, SftExample
from ..store.artifacts import Artifact
from ..store.jsonl import disk_fault, read_lines
from . import data_card
from .selection import SelectionTally

if TYPE_CHECKING:
    from pyarrow import Schema

SPLITS = ("train", "test")
CARD = "README.md"
BATCH_BYTES = 16 * 2**20
NO_COLUMNS = ("kind", "schema", "split")


def shard(split: str) -> str:
    return f"data/{split}-00000-of-00001.parquet"


def refuse_foreign(folder: Path) -> None:
    """Raises InputError if `folder` holds anything but a data set that was written here."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file", "Give a folder for the data set")
    own = {CARD, *map(shard, SPLITS)}
    files = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()]
    foreign = sorted(set(files) - own)
    card = folder / CARD
    if foreign or (files and not (card.is_file() and data_card.TAG in card.read_text("utf-8", "replace"))):
        what = f"holds {foreign[0]}" if foreign else "holds no card of build-sft"
        raise InputError(f"{folder}: {what}, so it is no data set to write over", "Give another folder, or empty it")


def write_dataset(folder: Path, artifact: Artifact, tally: SelectionTally, kind: str) -> None:
    """Write the records of an artifact of `build_sft` as a data set, in place of an older one.

    It is built beside `folder` and renamed, so a reader sees the older one or the new one. At most `BATCH_BYTES` of
    records are in memory at a time. A split without rows is left out: the datasets library cannot load one.

    Args:
        kind: that of the records, `sft_example` or `sft_conversation`.

    Raises:
        InputError: the folder holds something else, or there are no rows. MachineError: it cannot be written.
    """
    splits = [split for split in SPLITS if tally.splits[split]]
    if not splits:
        hint = "Give more traces, or loosen --max-tokens and --decontaminate"
        raise InputError(f"{folder}: no data set is written, as no record is left", hint)
    folder = folder.resolve()
    refuse_foreign(folder)
    temporary, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{what}") for what in ("tmp", "old"))
    try:
        (temporary / "data").mkdir(parents=True)
        columns = _write_shards(temporary, artifact.records, kind, splits)
        (temporary / CARD).write_text(_card(folder.name, artifact, tally, splits, columns), "utf-8")
        if folder.exists():
            folder.rename(old)
        try:
            temporary.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except OSError as error:
        raise disk_fault(folder, error) from None
    finally:
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _write_shards(folder: Path, records: Path, kind: str, splits: list[str]) -> list[str]:
    """Write the Parquet file of every split; returns the names of the columns."""
    import pyarrow
    from pyarrow import parquet

    schema = _schema(kind)
    with contextlib.ExitStack() as stack:
        writers = {split: stack.enter_context(parquet.ParquetWriter(folder / shard(split), schema)) for split in splits}
        for split, rows in _batches(records, schema.names):
            writers[split].write_table(pyarrow.Table.from_pylist(rows, schema=schema))
    return list(schema.names)


def _schema(kind: str) -> "Schema":
    import pyarrow as pa

    text, messages = pa.string(), pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    turns = [("prompt", messages), ("completion", text)] if kind == SftExample.kind else [("messages", messages)]
    return pa.schema([("id", text), *turns, ("reasoning_sha256", text), ("tokens", pa.int64()), ("extra", text)])


def _batches(records: Path, columns: list[str]) -> Iterator[tuple[str, list[JsonObject]]]:
    """Rows of one split in lists whose lines have about `BATCH_BYTES`."""
    rows: dict[str, list[JsonObject]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for line in read_lines(records):
        # Our own records, which need no second look.
        value = orjson.loads(line.data)
        split = value["split"]
        extra = {name: item for name, item in value.items() if name not in columns and name not in NO_COLUMNS}
        if "extra" in value:
            extra["extra"] = value["extra"]
        rows[split].append({**value, "extra": orjson.dumps(extra).decode() if extra else None})
        sizes[split] += len(line.data)
        if sizes[split] >= BATCH_BYTES:
            yield split, rows.pop(split)
            sizes[split] = 0
    yield from rows.items()


def _card(title: str, artifact: Artifact, tally: SelectionTally, splits: list[str], columns: list[str]) -> str:
    from huggingface_hub import DatasetCard, DatasetCardData

    data = DatasetCardData(
        pretty_name=title,
        task_categories=["text-generation"],
        tags=["reasoning", "model-collaboration", data_card.TAG],
        size_categories=[data_card.size_category(tally.kept)],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in splits],
            }
        ],
    )
    info = artifact.info
    text = data_card.body(title, __version__, info.config, info.inputs, tally, columns)
    return str(DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))
