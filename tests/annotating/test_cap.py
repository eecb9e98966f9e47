import itertools

from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.annotating.cap import keep_hardest, keep_or_cut
from splitreason_cli.records import markup
from splitreason_cli.records.data import HardSpan

SENTENCES = [f"Sentence number {number} says that it is hard to add {number}." for number in range(10)]
TEXT = " ".join(SENTENCES)
SPANS = st.lists(
    st.tuples(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)), st.integers(0, 5)).map(
        lambda drawn: HardSpan(start=min(drawn[:2]), end=max(drawn[:2]), score=float(drawn[2]))
    ),
    max_size=8,
)


def span(start, end, score=1.0):
    return HardSpan(start=start, end=end, score=score)


def marked(spans):
    return [TEXT[one.start : one.end] for one in spans]


def pairs(spans):
    return [(one.start, one.end) for one in spans]


def test_what_fits_is_kept_whole():
    spans = [span(0, 10), span(60, 80)]
    assert keep_or_cut(TEXT, spans, 30) == (spans, [])


def test_a_span_that_is_too_long_is_cut_at_the_end_of_a_sentence():
    kept, dropped = keep_or_cut(TEXT, [span(0, len(TEXT))], 0.25 * len(TEXT))
    assert marked(kept) == [" ".join(SENTENCES[:2])]
    assert marked(dropped) == [" ".join(SENTENCES[2:])]


def test_where_no_sentence_fits_the_hardest_span_is_cut_between_words():
    kept, dropped = keep_or_cut(TEXT, [span(0, 200, 1.0), span(210, 400, 2.0)], 20)
    assert marked(kept) == [TEXT[210:400][:20].rpartition(" ")[0]]
    assert len(dropped) == 2


def test_text_without_spaces_is_cut_between_characters_of_its_script():
    text = "所以余数是四因此答案是五" * 5
    kept, _ = keep_or_cut(text, [span(0, len(text))], 7.5)
    assert pairs(kept) == [(0, 7)]


def test_whole_spans_come_before_parts_of_longer_ones():
    long, short = span(0, 300, 2.0), span(400, 450, 1.0)
    kept, dropped = keep_or_cut(TEXT, [long, short], 120)
    assert pairs(kept) == [(0, len(SENTENCES[0])), (400, 450)]
    assert pairs(dropped) == [(len(SENTENCES[0]) + 1, 300)]


@given(SPANS, st.floats(0, len(TEXT)), st.integers(0, 12))
def test_what_is_kept_is_sorted_apart_and_under_the_limit_and_nothing_is_lost_unsaid(spans, limit, gap):
    kept, dropped = keep_or_cut(TEXT, spans, limit, gap)
    assert markup.covered(pairs(kept)) <= limit
    assert all(after.start - before.end > gap for before, after in itertools.pairwise(kept))
    both = markup.normalize([*pairs(kept), *pairs(dropped)], 1)
    assert all(
        any(left <= one.start and one.end <= right for left, right in both) for one in spans if one.end > one.start
    )
    whole = keep_hardest(spans, limit, gap)
    assert markup.covered(pairs(kept)) >= markup.covered(pairs(whole))


@given(SPANS, st.floats(0, len(TEXT)), st.integers(0, 12))
def test_the_hardest_are_kept_as_if_each_was_merged_with_all_before_it(spans, limit, gap):
    kept = []
    for one in sorted(spans, key=lambda one: (-one.score, one.start)):
        merged = markup.normalize([*kept, (one.start, one.end)], gap)
        kept = merged if markup.covered(merged) <= limit else kept
    assert pairs(keep_hardest(spans, limit, gap)) == kept
