"""The gold answer in a column of whatever type."""

import contextlib
import json
import math
import re
from collections.abc import Mapping

from ..records.data import SchemaError
from ..records.extraction import answer_in

_FINAL = re.compile(r"####[ \t]*([^\n#]+)\s*\Z")
"""In the last line alone; before that it is a heading."""


def answer_text(value: object, column: str) -> str:
    """The one right answer as text; what stands behind `####` at its end, and in a worked solution its last box.

    A number that is whole is written so, a list of one is what it holds. Raises SchemaError for anything else.
    """
    if isinstance(value, list) and len(value) == 1:
        return answer_text(value[0], column)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float) and math.isfinite(value):
        return str(int(value)) if value == int(value) else str(value)
    if not isinstance(value, str):
        raise SchemaError(
            f"field '{column}': expected a text or a number, got {_called(value)}; give the one right answer"
        )
    if not value.strip():
        raise SchemaError(f"field '{column}' is empty")
    if value.lstrip().startswith('["') and (texts := _texts_in(value)):
        return answer_text(texts, column)
    return worked_answer(value) or value


def with_answer_as_text(row: Mapping[str, object]) -> dict[str, object]:
    """A record whose `answer` is a number, or null, with that as text. Raises SchemaError for one that is no answer."""
    if "answer" not in row or isinstance(row["answer"], str):
        return dict(row)
    return {**row, "answer": "" if row["answer"] is None else answer_text(row["answer"], "answer")}


def worked_answer(solution: str) -> str | None:
    """The answer that a worked solution ends with; None if it marks none."""
    final = _FINAL.search(solution)
    return final[1].strip() if final else answer_in(solution)


def _texts_in(value: str) -> list[object]:
    """The texts of a list that is written as JSON, as some data sets keep their answers; none of any other text."""
    with contextlib.suppress(ValueError):
        found = json.loads(value)
        if isinstance(found, list) and all(isinstance(one, str) for one in found):
            return found
    return []


def _called(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "null" if value is None else type(value).__name__


def one_word(text: str) -> str | None:
    """A text of one word, which a worked solution is not; None for a longer one."""
    return None if len(text.split()) != 1 else text.strip()
