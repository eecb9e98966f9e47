import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records import markup


@st.composite
def spanned_text(draw):
    text = draw(st.text(max_size=60).filter(lambda t: not markup.contains_tag(t)))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    # Every other gap between cuts, so that no two spans touch.
    return text, [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if a < b]


@given(spanned_text())
def test_stripping_a_rendered_text_gives_the_text_back(case):
    text, spans = case
    assert markup.strip(markup.render(text, spans)) == text


@given(spanned_text())
def test_parsing_a_rendered_text_gives_text_and_spans_back(case):
    assert markup.parse(markup.render(*case)) == case


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8), st.integers(0, 4))
def test_normalized_spans_are_sorted_apart_and_cover_the_same_characters(spans, gap):
    merged = markup.normalize(spans, gap)
    assert all(later[0] - earlier[1] > gap for earlier, later in itertools.pairwise(merged))
    wanted = {i for start, end in spans for i in range(start, end)}
    assert wanted <= {i for start, end in merged for i in range(start, end)}
    if gap == 0:
        assert markup.covered(merged) == len(wanted)


@pytest.mark.parametrize(
    ("tagged", "complaint"),
    [
        ("a<bigmodel>b", "never closed"),
        ("a</bigmodel>b", "closes nothing"),
        ("<bigmodel>a<bigmodel>b</bigmodel>", "inside another span"),
        ("a<bigmodel></bigmodel>", "is empty"),
        ("<bigmodel>a<\\bigmodel>", "never closed"),
        ("a<\\bigmodel>b", "misspelt"),
        ("a< BigModel >b", "misspelt"),
    ],
)
def test_malformed_tags_are_refused(tagged, complaint):
    with pytest.raises(markup.MarkupError, match=complaint):
        markup.parse(tagged)


@pytest.mark.parametrize("spans", [[(0, 0)], [(2, 1)], [(0, 2), (1, 3)], [(0, 1), (1, 2)], [(0, 9)], [(2, 3), (0, 1)]])
def test_spans_that_do_not_fit_are_refused(spans):
    with pytest.raises(markup.MarkupError):
        markup.render("abcd", spans)


def test_a_text_that_already_holds_a_tag_is_refused():
    with pytest.raises(markup.MarkupError, match="already contains </bigmodel>"):
        markup.render("x</bigmodel>", [])


def test_hits_grow_to_their_lines_without_surrounding_white_space():
    text = "one\n  two three \n\nfour\n"
    assert [text[a:b] for a, b in markup.line_spans(text, [(6, 7), (10, 12), (18, 19)])] == ["two three", "four"]


def test_a_hit_on_a_line_break_alone_marks_nothing():
    assert markup.line_spans("one\ntwo", [(3, 4)]) == []


def test_the_hint_shows_both_tags():
    assert markup.OPEN in markup.HINT
    assert markup.CLOSE in markup.HINT
