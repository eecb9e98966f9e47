import contextlib

import pytest

from splitreason_cli.errors import InputError
from splitreason_cli.layouts.reading import FIRST_ROWS, FirstLook
from splitreason_cli.layouts.traces import read_traces
from splitreason_cli.records.data import SchemaError

GOOD = {"question": "q", "reasoning": "r"}
BAD = {"prompt": "p", "chosen": "c"}


@pytest.fixture
def notes():
    return []


@pytest.fixture
def look(notes):
    return FirstLook("x.jsonl", "trace", notes.append)


def give(look, rows):
    read = look.over(read_traces)
    for row in rows:
        with contextlib.suppress(SchemaError):
            read(row)


def test_each_way_in_which_rows_are_read_is_said_once(look, notes):
    give(look, [GOOD, GOOD, {"problem": "p", "reasoning": "r"}, GOOD])
    look.finish()
    assert notes == [
        "x.jsonl: problem <- question, reasoning <- reasoning",
        "x.jsonl: problem <- problem, reasoning <- reasoning",
    ]


def test_a_file_of_which_nothing_is_read_stops_after_its_first_rows(look):
    give(look, [BAD] * (FIRST_ROWS - 1))
    with pytest.raises(InputError) as caught:
        give(look, [{**BAD, "more": 1}, BAD])
    assert caught.value.message.startswith("x.jsonl: none of its first 100 rows gives a trace (no column holds a trace")
    assert caught.value.hint.startswith("Its columns: prompt, chosen, more. Say which holds what, such as --columns ")


def test_a_short_file_stops_at_its_end(look):
    give(look, [BAD])
    with pytest.raises(InputError, match=r"x\.jsonl: its row does not give a trace"):
        look.finish()


def test_one_good_row_is_enough(look):
    give(look, [*[BAD] * (FIRST_ROWS - 1), GOOD, *[BAD] * FIRST_ROWS])
    look.finish()


def test_a_row_of_which_no_generation_is_wanted_is_understood(look):
    give(look, [{"problem": "p", "generations": ["<think>a</think>b"], "correctness": [False]}])
    look.finish()


def test_records_of_ours_need_no_word(look, notes):
    give(look, [{"kind": "trace", "id": "a", "problem": "p", "reasoning": "r"}])
    look.finish()
    assert notes == []
