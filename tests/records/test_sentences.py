import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records.sentences import sentences

TEXT = st.lists(
    st.sampled_from(
        ["a", "B", ". ", ".", "? ", "...", "…", "\n", "$", "3.5", "。", "e.g. ", "\\(", "\\)", " ", "é", '"']
    ),
    max_size=40,
).map("".join)


def parts(text):
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        ["Let x be 3.14.", "Then y is 2!", "Is it?", "Yes."],
        ["Take a prime, e.g. 7, i.e. an odd one.", "See Eq. 3, Fig. (2) and Thm. 4."],
        ["So $a. B$ and \\(c. D\\) hold, and \\[e. F\\] too.", "Done."],
        ["It costs $5.", "Then it is $6."],
        ["Is it even?", "No.", "It is odd."],
        ["Hmm... maybe it is.", "Wait...", "So it is 4."],
        ["1. First we add.", "Then we double."],
        ['He said "It is 4."', "So (it is.)", "**It is.**", "End"],
        ["Dr. Smith vs. Mr. Jones w.l.o.g. x.", "And so on"],
        ["So x = 4.", "then y = 5."],
    ],
)
def test_sentences_end_where_a_reader_ends_them(text):
    assert parts(" ".join(text)) == text


def test_full_stops_of_chinese_and_hindi_need_no_space():
    assert parts("所以余数是四。因此“答案是五。”对吗？是") == ["所以余数是四。", "因此“答案是五。”", "对吗？", "是"]
    assert parts("यह चार है। वह पाँच है।") == ["यह चार है।", "वह पाँच है।"]


def test_a_line_ends_a_sentence_and_its_white_space_belongs_to_none():
    assert parts("  so we add \n\n\t and go on.  \n") == ["so we add", "and go on."]
    assert parts(" \n\t\n") == []


@given(TEXT)
def test_sentences_are_sorted_disjoint_and_hold_all_that_is_no_white_space(text):
    spans = sentences(text)
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert all(part == part.strip() and "\n" not in part for part in parts(text))
    assert "".join("".join(parts(text)).split()) == "".join(text.split())
