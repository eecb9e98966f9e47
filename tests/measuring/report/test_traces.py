import base64
import json
import zlib

from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.measuring.report import traces as report_traces
from splitreason_cli.measuring.report.traces import Cell, disagreements, pack
from tests.made_up_run import generation

TEXT = st.text(st.characters(codec=None), max_size=12)


def inflated(packed):
    return json.loads(zlib.decompress(base64.b64decode(packed)))


@given(st.lists(st.lists(TEXT, min_size=1, max_size=4), min_size=1, max_size=6), st.integers(1, 40))
def test_every_text_is_where_the_index_says(texts, block_characters):
    usual, report_traces.BLOCK_CHARACTERS = report_traces.BLOCK_CHARACTERS, block_characters
    try:
        traces = pack(["split"], [[generation(sample=at, words=words) for at, words in enumerate(texts)]])
    finally:
        report_traces.BLOCK_CHARACTERS = usual
    index = inflated(traces.index)
    blocks = [inflated(block) for block in traces.blocks]
    for row in index["generations"]:
        entry = dict(zip(index["fields"], row, strict=True))
        text, segments = blocks[entry["block"]][entry["place"]]
        words = texts[entry["sample"]]
        assert text == "".join(words)
        utf16 = [len(word.encode("utf-16-le", "surrogatepass")) // 2 for word in words]
        assert segments == [[at % 2, 1, length] for at, length in enumerate(utf16)]


def test_the_index_orders_by_problem_run_and_sample():
    first = [generation("b", sample) for sample in (1, 0)] + [generation("a")]
    traces = pack(["split", "small"], [first, [generation("a"), generation("b")]])
    index = inflated(traces.index)
    assert [row[:3] for row in index["generations"]] == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0]]
    assert index["problems"] == [["b", "problem b", "1"], ["a", "problem a", "1"]]
    assert traces.rows == [("b", [Cell(2, 2), Cell(1, 1)]), ("a", [Cell(1, 1), Cell(1, 1)])]


def test_token_ids_are_left_out():
    traces = pack(["split"], [[generation(words=("one", "two"))]])
    assert [inflated(block) for block in traces.blocks] == [[["onetwo", [[0, 1, 3], [1, 1, 3]]]]]


def test_a_cell_is_named_by_the_quarter_it_reaches():
    assert [Cell(right, 4).quarters for right in range(5)] == ["0", "1", "2", "3", "4"]
    assert [Cell(right, 16).quarters for right in (1, 4, 5, 8, 9, 15, 16)] == ["1", "1", "2", "2", "3", "3", "4"]
    assert Cell(0, 0, 2).quarters == "none"


def test_systems_differ_where_shares_do_not_where_counts_do():
    rows = [
        ("a", [Cell(1, 2), Cell(2, 4)]),
        ("b", [Cell(1, 2), Cell(2, 2)]),
        ("c", [Cell(1, 1), None]),
        ("d", [Cell(0, 0, 1), Cell(1, 1)]),
    ]
    assert list(disagreements(rows)) == [False, True, False, False]
