import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records import markup
from splitreason_cli.records.markup import PUBLISHED, MarkupError, SpanTags
from splitreason_cli.records.scaffold import split_thinking
from splitreason_cli.records.tagged import in_thinking, untag

HARD = SpanTags("<hard>", ("</hard>", "<\\hard>"))
TEXT = st.lists(st.sampled_from(["a", "b", "é", "\n", " ", "\n\n", "2*3", "<", ">", "</", "𝔸"]), max_size=30).map(
    "".join
)


@st.composite
def spanned(draw):
    """A text and spans that hold more than white space."""
    text = draw(TEXT)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if text[a:b].strip()]
    return text, spans


def tagged(text, spans, tags, before="", after="", closing=0):
    """A text with foreign tags around its spans, the opening ones padded."""
    ours = markup.render(text, spans)
    return ours.replace(markup.OPEN, f"{before}{tags.opening}{after}").replace(markup.CLOSE, tags.closings[closing])


@given(spanned(), st.sampled_from([PUBLISHED, HARD]), st.integers(0, 1))
def test_foreign_tags_are_taken_off_and_leave_text_and_spans(case, tags, closing):
    text, spans = case
    if spans:
        assert untag(tagged(text, spans, tags, closing=closing), tags) == case
        assert untag(tagged(text, spans, tags, closing=closing), tags, text) == case


@given(spanned())
def test_padding_of_the_published_messages_is_undone_with_and_without_the_original(case):
    text, spans = case
    if spans:
        padded = tagged(text, spans, PUBLISHED, "\n ", " \n", closing=1)
        assert untag(padded, PUBLISHED) == case
        plain, found = untag(padded, PUBLISHED, text)
        assert plain == text
        assert [text[a:b].strip() for a, b in found] == [text[a:b].strip() for a, b in spans]


@given(spanned(), st.text(" \n\t", max_size=4), st.text(" \n\t", max_size=4))
def test_any_white_space_around_tags_is_undone_where_the_original_is_known(case, before, after):
    text, spans = case
    if spans:
        plain, found = untag(tagged(text, spans, HARD, before, after), HARD, text)
        assert plain == text
        assert [text[a:b].strip() for a, b in found] == [text[a:b].strip() for a, b in spans]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a <hard>b", "unclosed"),
        ("a <hard>b <hard>c</hard> d</hard>", "nested"),
        ("a b</hard> c", "unopened"),
        ("a <hard></hard>b", "empty"),
        ("a <hard> \n </hard>b", "blank"),
        ("a <hard>b</ hard> <hard>c</hard>", "nested"),
        ("a <hard>b</hard> <HARD>c", "misspelt"),
        ("a < hard>b< /hard>", "misspelt"),
        ("a b", "untagged"),
        ("a\n <hard> \nb</hard> <hard>c</hard>", "padded"),
    ],
)
def test_broken_tags_are_refused_and_the_message_begins_with_the_sort_of_fault(text, fault):
    with pytest.raises(MarkupError, match=rf"^{fault}: "):
        untag(text, HARD)


@pytest.mark.parametrize(
    "original",
    ["one 2*4 = 6 two", "one 2*3 = 6 two more", "one 2*3 = 6", "one\t2*3 = 6 two", "one  2*3 = 6 two", ""],
)
def test_a_text_that_is_not_the_original_is_refused(original):
    with pytest.raises(MarkupError, match=r"^differs: "):
        untag("one <hard>2*3 = 6</hard> two", HARD, original)


def test_spans_that_touch_become_one():
    assert untag("a<hard>b</hard><hard>c</hard>", HARD) == ("abc", [(1, 3)])


@pytest.mark.parametrize(
    ("text", "reasoning", "marked", "outside"),
    [
        ("<think>\na <hard>b</hard> c\n</think>\n\n4", "a b c", ["b"], []),
        ("<hard><think>\na</hard> b\n</think>\n4", "a b", ["a"], []),
        ("<think>\na <hard>b\n</think>\n\nSo 4</hard>.", "a b", ["b"], ["So 4"]),
        ("<think>a <hard>b</hard></think>So <hard>4</hard> it <hard>is</hard>", "a b", ["b"], ["4", "is"]),
        ("<think>a b<hard>\n</think>\n4</hard>", "a b", [], ["4"]),
        ("<think>think <hard>think</hard></think>x", "think think", ["think"], []),
        ("<hard>a</hard> no scaffold", "a no scaffold", ["a"], []),
        ("<th<hard>ink>a</hard> b</think>4", "a b", ["a"], []),
        ("<think>a <hard>b</thi</hard>nk>4", "a b", ["b"], []),
        ("<think>a <hard>b</hard></thi<hard>nk>4</hard>", "a b", ["b"], ["4"]),
        ("<hard><think></hard>a", "a", [], []),
        ("<think>\n<hard>\n a\n</hard>\n</think>4", "a", ["a"], []),
    ],
)
def test_spans_of_a_generation_become_spans_of_its_reasoning_and_the_others_are_told(text, reasoning, marked, outside):
    found = in_thinking(*untag(text, HARD))
    assert found.reasoning == reasoning
    assert [reasoning[a:b] for a, b in found.spans] == marked
    assert list(found.outside) == outside


@given(spanned(), spanned())
def test_reasoning_and_response_are_those_of_the_plain_text(thought, response):
    plain = f"<think>\n{thought[0]}\n</think>\n\n{response[0]}"
    spans = [(a + 8, b + 8) for a, b in thought[1]]
    found = in_thinking(plain, spans)
    assert (found.reasoning, found.response) == split_thinking(plain)
    assert [found.reasoning[a:b].strip() for a, b in found.spans] == [thought[0][a:b].strip() for a, b in thought[1]]


@pytest.mark.parametrize("text", ["<hard>", "<hard>,", ",</hard>", "", "<x>,<x>"])
def test_what_is_no_pair_of_tags_is_refused(text):
    with pytest.raises(ValueError, match="tag"):
        SpanTags.read(text)


def test_tags_are_read_as_people_write_them():
    assert SpanTags.read(" <hard>, </hard> ,<\\hard>") == HARD
    assert SpanTags.read(str(HARD)) == HARD
