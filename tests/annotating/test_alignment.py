import itertools
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from splitreason_cli.annotating.alignment import MOST_SEARCHED, AlignConfig, align, place
from splitreason_cli.annotating.cap import keep_hardest
from splitreason_cli.records import markup
from splitreason_cli.records.data import HardSpan

TRACE = (
    "So the sum is \\( \\frac{n(n+1)}{2} \\), and for n = 10 this gives 55.\n\n"
    "Wait, the problem says that the first term is 3, so everything moves by two.\n"
    "Hmm, let me check the parity of 3.14 and 1,000 again. It is even.\n\n"
    "Therefore the remainder modulo 7 must be 4, because 55 + 20 = 75 = 70 + 5.\n"
    "Wait, the problem says that the first term is 3, so everything moves by two.\n"
)
WHOLE = AlignConfig(fraction=1.0)
words = st.text("ab é∑\\{}1,.ü\u0301漢字x", min_size=1, max_size=6)
texts = st.lists(words, min_size=1, max_size=60).map(" ".join)


def found(text, snippet, config=WHOLE):
    spans, _ = align(text, [snippet], config)
    return [text[span.start : span.end] for span in spans]


def edited(text, share, seed):
    """The text with a share of its characters replaced, inserted or left out."""
    rng, letters = random.Random(seed), list(text)
    for _ in range(round(share * len(letters))):
        place, kind = rng.randrange(len(letters)), rng.randrange(3)
        if kind == 0:
            letters[place] = rng.choice("abcdefgh 12\\")
        elif kind == 1:
            letters.insert(place, rng.choice("abcdefgh 12\\"))
        else:
            del letters[place]
    return "".join(letters)


def test_a_verbatim_snippet_is_found_as_it_stands():
    snippet = "let me check the parity of 3.14 and 1,000 again"
    spans, unplaced = align(TRACE, [f"  {snippet}\n"], WHOLE)
    assert [TRACE[s.start : s.end] for s in spans] == [snippet]
    assert (spans[0].score, spans[0].similarity, unplaced) == (1.0, 1.0, [])


@pytest.mark.parametrize("seed", range(20))
def test_an_altered_snippet_goes_to_the_passage_it_was_copied_from(seed):
    line = TRACE.split("\n")[5]
    altered = edited(line, 0.06, seed)
    # An edit of the very last character can cost that character, and no more.
    assert found(TRACE, altered) in ([line], [line[:-1]])


def test_changed_white_space_and_lost_backslashes_do_not_matter():
    assert found(TRACE, "So the sum is ( frac{n(n+1)}{2} ), and for\nn = 10 this gives  55.") == [TRACE.split("\n")[0]]


def test_a_repeated_snippet_goes_to_its_occurrences_in_order():
    line = TRACE.split("\n")[2]
    placements = place(TRACE, [line, "It is even.", line, line], WHOLE)
    first, second = TRACE.index(line), TRACE.rindex(line)
    assert [p.span and p.span[0] for p in placements] == [first, TRACE.index("It is"), second, None]


def test_altered_copies_of_a_repeated_passage_go_to_different_occurrences():
    line = TRACE.split("\n")[2]
    placements = place(TRACE, [edited(line, 0.05, 1), edited(line, 0.05, 2)], WHOLE)
    assert {p.span[0] for p in placements} == {TRACE.index(line), TRACE.rindex(line)}


@pytest.mark.parametrize(
    "snippet",
    [
        "The moon is made of green cheese, as everybody in the village knows.",
        "Поэтому остаток от деления на семь равен четырём, потому что",
        "55 + 21",
        "",
        "   ",
    ],
)
def test_what_is_not_in_the_trace_is_counted_with_its_similarity_and_not_placed(snippet):
    spans, unplaced = align(TRACE, [snippet], WHOLE)
    assert spans == []
    assert [one.snippet for one in unplaced] == [snippet]
    assert unplaced[0].similarity < WHOLE.min_similarity or len(snippet) < 20


def test_the_threshold_decides_what_counts_as_found():
    altered = edited(TRACE.split("\n")[5], 0.2, 3)
    assert found(TRACE, altered, AlignConfig(fraction=1.0, min_similarity=0.95)) == []
    assert found(TRACE, altered, AlignConfig(fraction=1.0, min_similarity=0.6)) != []


@pytest.mark.parametrize(
    ("text", "snippet", "span"),
    [
        ("consider the integral of x", "tegral of", "integral of"),
        (r"we get \frac{1}{2} here", r"rac{1}{2}", r"\frac{1}{2}"),
        ("it is 3.14159 or so", "is 3.1", "is 3.14159"),
        ("it is 1,000,000 or so", "000 or", "1,000,000 or"),
        ("so y = 2x + 112i holds", "y = 2", "y = 2x"),
        ("le re\u0301sultat final", "re", "re\u0301sultat"),
        ("मान लीजिए कि", "म", "मान"),
        ("所以余数是四。", "余数", "余数"),
        ("it ends 111 \\ 1", "it ends 111 \\", "it ends 111 \\"),
        ("family 👨‍👩‍👧 here", "👩", "👨‍👩‍👧"),
    ],
)
def test_spans_end_between_words_numbers_commands_and_characters(text, snippet, span):
    assert found(text, snippet) == [span]


def test_snapping_to_lines_marks_whole_lines_without_their_white_space():
    text = "one\n   two three   \n\nfour five\nsix"
    assert found(text, "three   \n\nfour", AlignConfig(fraction=1.0, snap="line")) == ["two three   \n\nfour five"]


def test_near_spans_are_merged_and_keep_the_better_score_and_the_worse_similarity():
    text = "The alpha part is hard. And so beta is hard too, in the very end of it."
    spans, _ = align(text, ["beta is hard", "alpha part is hard"], WHOLE)
    assert [text[s.start : s.end] for s in spans] == ["alpha part is hard. And so beta is hard"]
    assert spans[0].score == 1.0
    far = "alpha part is hard. " + "x" * 11 + " beta is hard"
    assert len(align(far, ["beta is hard", "alpha part is hard"], WHOLE)[0]) == 2


def test_the_cap_drops_what_ranks_last():
    text = "\n".join(letter * 10 + " " * 20 for letter in "abcd")
    snippets = ["c" * 10, "a" * 10, "d" * 10]
    spans, unplaced = align(text, snippets, AlignConfig(fraction=20.5 / len(text)))
    assert [text[s.start] for s in spans] == ["a", "c"]
    assert [(one.snippet, one.reason) for one in unplaced] == [("d" * 10, "over the fraction")]
    assert align(text, snippets, AlignConfig(fraction=0.0))[0] == []


@settings(deadline=None)
@given(
    texts, st.lists(st.tuples(st.integers(0, 300), st.integers(1, 80), st.integers(0, 9)), max_size=6), st.floats(0, 1)
)
def test_spans_are_sorted_disjoint_apart_inside_and_under_the_cap(text, cuts, fraction):
    snippets = [edited(text[start : start + length], 0.05, seed) for start, length, seed in cuts]
    spans, unplaced = align(text, snippets, AlignConfig(fraction=fraction))
    pairs = [(span.start, span.end) for span in spans]
    assert all(later[0] - earlier[1] > 10 for earlier, later in itertools.pairwise(pairs))
    assert all(0 <= start < end <= len(text) and text[start:end] == text[start:end].strip() for start, end in pairs)
    assert markup.covered(pairs) <= fraction * len(text)
    assert len(unplaced) <= len(snippets)
    assert markup.strip(markup.render(text, pairs)) == text


@given(texts, st.integers(0, 300), st.integers(1, 80))
def test_whatever_was_copied_verbatim_is_inside_its_span(text, start, length):
    snippet = text[start : start + length].strip()
    assume(snippet)
    (placement,) = place(text, [snippet], WHOLE)
    assert snippet in text[slice(*placement.span)]
    assert placement.similarity == 1.0


def test_a_hardest_span_that_cannot_fit_leaves_room_for_the_others():
    spans = [HardSpan(start=0, end=90, score=3.0), HardSpan(start=92, end=99, score=1.0)]
    assert keep_hardest(spans, 20) == [spans[1]]


PROSE = (
    "First I look at the two numbers and add them one after the other. That gives 4,071 if I did it right. "
    "Hmm, but the last digit must be even, because both numbers are even... so I must have made a mistake somewhere. "
    "Let me add them again: 2,048 plus 2,022 is 4,070, which is even as it should be. "
    "Now the remainder modulo 7 is what is asked, and 4,070 is 581 times 7 plus 3. So the answer is 3."
)
MISTAKE = (
    "Hmm, but the last digit must be even, because both numbers are even... so I must have made a mistake somewhere."
)


@pytest.mark.parametrize(
    "snippet",
    [
        "Hmm, but the last digit ... have made a mistake somewhere.",
        "Hmm, but the last digit…made a mistake somewhere.",
        "Hmm, but the last digit [...] made a mistake somewhere.",
        "Hmm, but the last digit (…) I must have made a mistake somewhere.",
        "Hmm, but the last digit must be \\ldots have made a mistake somewhere.",
        "Hmm, but ... both numbers are even ... a mistake somewhere.",
        "Hmm, but the last digjt must be evem ... have made a mistakes somewhere.",
    ],
)
def test_a_snippet_whose_middle_was_left_out_is_placed_by_both_ends(snippet):
    assert found(PROSE, snippet) == [MISTAKE]


@pytest.mark.parametrize(
    ("snippet", "place"),
    [
        ("... 2,048 plus 2,022 is 4,070, which is even", "2,048 plus 2,022 is 4,070, which is even"),
        ("2,048 plus 2,022 is 4,070, which is even…", "2,048 plus 2,022 is 4,070, which is even"),
        ("[...] 2,048 plus 2,022 is 4,070 [...]", "2,048 plus 2,022 is 4,070"),
        ("both numbers are even... so I must have", "both numbers are even... so I must have"),
        ("both numbers are evven... so I must have", "both numbers are even... so I must have"),
    ],
)
def test_an_ellipsis_at_an_end_or_of_the_trace_itself_costs_nothing(snippet, place):
    assert found(PROSE, snippet) == [place]


def test_of_several_places_between_the_ends_the_nearest_counts():
    text = "We add 5 to it. And so on. We add 5 to both. Then it is done. And so on. Then it is done."
    assert found(text, "We add 5 ... Then it is done.") == ["We add 5 to both. Then it is done."]


@pytest.mark.parametrize(
    "snippet",
    [" … ", "a ... b", "So ... is", "The moon is ... green cheese", "is 3. ... First I look"],
)
def test_ends_that_say_nothing_or_stand_the_wrong_way_round_are_not_placed(snippet):
    assert found(PROSE, snippet) in ([], ["First I look"])


def test_ends_that_are_too_far_apart_are_not_joined():
    text = f"{PROSE} {'And on it goes. ' * 300}{TRACE}"
    assert found(text, "First I look at the two ... the parity of 3.14 and 1,000 again") == [
        "the parity of 3.14 and 1,000 again"
    ]


def test_one_huge_snippet_is_cut_at_a_sentence_and_its_rest_is_told():
    spans, unplaced = align(PROSE, [PROSE], AlignConfig(fraction=0.3))
    assert [PROSE[one.start : one.end] for one in spans] == [PROSE[: PROSE.index(" Hmm")]]
    assert [(one.snippet, one.reason) for one in unplaced] == [(PROSE[PROSE.index("Hmm") :], "over the fraction")]


@pytest.mark.parametrize("snap", ["word", "line"])
def test_prose_on_one_line_is_marked_by_its_sentences(snap):
    snippet = "2,048 plus 2,022 is 4,070"
    spans, unplaced = align(PROSE, [snippet], AlignConfig(fraction=0.3, snap=snap))
    line = "Let me add them again: 2,048 plus 2,022 is 4,070, which is even as it should be."
    assert [PROSE[one.start : one.end] for one in spans] == [snippet if snap == "word" else line]
    assert unplaced == []


def test_of_thousands_of_snippets_few_are_looked_for_and_all_are_accounted_for():
    snippets = [f"{number} moons are made of green cheese" for number in range(5000)]
    spans, unplaced = align(PROSE, [*snippets, "That gives 4,071"], WHOLE)
    assert [PROSE[one.start : one.end] for one in spans] == ["That gives 4,071"]
    reasons = [one.reason for one in unplaced]
    assert (reasons.count("not found"), reasons.count("too many")) == (MOST_SEARCHED, 5000 - MOST_SEARCHED)


def test_a_snippet_given_too_often_is_repeated_and_not_lost():
    _, unplaced = align(PROSE, ["That gives 4,071"] * 3, WHOLE)
    assert [one.reason for one in unplaced] == ["repeated", "repeated"]
