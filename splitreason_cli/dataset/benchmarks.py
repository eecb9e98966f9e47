"""Benchmark problems that training data must not hold."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..records.data import SchemaError, json_object
from ..store.jsonl import decode, read_lines
from .decontamination import NgramIndex


def read_ngrams(files: Iterable[str], n: int) -> NgramIndex:
    """The n-grams of the column `problem` of JSONL files; other columns may be anything.

    Raises:
        InputError: a file cannot be read or is empty. RecordError: a row without such a column. One bad row stops all,
            as leaving it out would let its problem through.
    """
    index = NgramIndex(n)
    for file in files:
        empty = True
        for line in read_lines(Path(file)):
            empty = False
            index.add(decode(line, _problem), file, line.where)
        if empty:
            raise InputError(f"{file}: the file is empty", "Give at least one row with a column 'problem'")
    return index


def _problem(row: object) -> str:
    row = json_object(row)
    if "problem" not in row:
        raise SchemaError("field 'problem' is missing")
    if not isinstance(row["problem"], str):
        raise SchemaError(f"field 'problem': expected str, got {type(row['problem']).__name__}")
    return row["problem"]
