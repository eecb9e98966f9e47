import base64
import dataclasses
import json
import zlib

from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.viewing import packing
from splitreason_cli.viewing.packing import Packer
from splitreason_cli.viewing.records import generation_view, view_of
from tests.made_up_run import generation

TEXT = st.text(st.characters(codec=None), max_size=12)


def inflated(packed):
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def packed(views, **named):
    packer = Packer()
    for view in views:
        packer.add(view)
    return packer.finish(**named)


def rows_of(pages):
    index = inflated(pages.index)
    return [dict(zip(index["fields"], row, strict=True)) for row in index["rows"]]


@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=4)), min_size=1, max_size=6), st.integers(1, 40))
def test_every_text_and_its_problem_are_where_the_index_says(texts, block_characters):
    usual, packing.BLOCK_CHARACTERS = packing.BLOCK_CHARACTERS, block_characters
    try:
        pages = packed(
            dataclasses.replace(view_of(generation(sample=at, words=words)), problem=problem)
            for at, (problem, words) in enumerate(texts)
        )
    finally:
        packing.BLOCK_CHARACTERS = usual
    blocks = [inflated(block) for block in pages.blocks()]
    for row in rows_of(pages):
        entry = blocks[row["block"]][row["place"]]
        problem, words = texts[row["sample"]]
        block, place = entry["problem"]
        assert blocks[block][place] == problem
        assert entry["text"] == "".join(words)
        utf16 = [len(word.encode("utf-16-le", "surrogatepass")) // 2 for word in words]
        assert entry["parts"] == [[at % 2, 1, length] for at, length in enumerate(utf16)]


def test_rows_stand_as_they_came_or_by_name_by_whom_and_sample():
    made = [generation("b", 1), generation("b", 0), generation("a"), generation("b", system="small")]
    names = ["name", "by", "sample"]
    assert [[row[name] for name in names] for row in rows_of(packed(map(view_of, made)))] == [
        [0, 0, 1],
        [0, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
    ]
    assert [[row[name] for name in names] for row in rows_of(packed(map(view_of, made), by_name=True))] == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
    ]


def test_texts_of_one_id_by_one_author_and_with_one_number_get_numbers_of_their_own():
    made = [generation("a", sample) for sample in (0, 0, 3, 0, 3)]
    assert [row["sample"] for row in rows_of(packed(map(view_of, made)))] == [0, 1, 3, 4, 5]


def test_whose_texts_come_first_can_be_said_before_there_are_any():
    packer = Packer([("none yet", "by"), ("small", "by")])
    packer.add(generation_view(generation(), "small"))
    pages = packer.finish()
    assert inflated(pages.index)["bys"] == [["none yet", "by"], ["small", "by"]]
    assert [row["by"] for row in rows_of(pages)] == [1]


def test_a_filter_that_lets_everything_pass_is_none():
    made = [generation(), generation(sample=1, unclosed=1)]
    facets = packed(map(view_of, made)).facets
    assert {name: [(one.name, one.count) for one in choices] for name, choices in facets.items()} == {
        "Ended": [("inside a span", 1)]
    }


def test_a_problem_that_many_share_is_packed_once():
    pages = packed(view_of(generation(sample=sample, words=("x",))) for sample in range(5))
    assert [inflated(block).count("problem a") for block in pages.blocks()] == [1]


def test_token_ids_are_left_out():
    pages = packed([view_of(generation(words=("one", "two")))])
    [[_, entry]] = [inflated(block) for block in pages.blocks()]
    assert entry["parts"] == [[0, 1, 3], [1, 1, 3]]
