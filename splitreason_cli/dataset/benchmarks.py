"""Benchmark problems that training data must not hold."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..layouts.columns import RowColumns
from ..layouts.reading import DEFAULT
from ..records.data import json_object
from ..store.jsonl import decode, read_lines
from .decontamination import NgramIndex


def read_ngrams(files: Iterable[str], n: int) -> NgramIndex:
    """The n-grams of the problems in JSONL files, whose columns are found by the table of layouts.

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
    # Words are looked for, so that a question counts whose choices or pictures stand in other columns.
    problem = row.get("problem")
    return problem if isinstance(problem, str) else RowColumns(row, DEFAULT).problem()
