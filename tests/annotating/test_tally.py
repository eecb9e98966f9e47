import pytest

from splitreason_cli.annotating.tally import AnnotationTally
from splitreason_cli.records.data import AnnotatedTrace, HardSpan, Unplaced


def trace(marked, *reasons, answer="4"):
    """100 characters of which so many are marked, and why passages are not."""
    return AnnotatedTrace(
        id="t",
        problem="p",
        answer=answer,
        reasoning="x" * 100,
        annotator="a",
        spans=(HardSpan(start=0, end=marked, score=1.0),) if marked else (),
        unplaced=tuple(Unplaced(snippet="s", similarity=0.5, reason=reason) for reason in reasons),
    )


def complaints(traces, fraction=0.2, **settings):
    tally = AnnotationTally(**settings)
    for one in traces:
        tally.add(one)
    return list(tally.complaints(fraction))


def test_a_run_that_marked_what_was_asked_for_has_nothing_to_complain_about():
    assert complaints([trace(20)] * 9 + [trace(0)], asked=True) == []
    assert complaints([], asked=True) == []


def test_more_than_a_tenth_without_a_span_is_said_with_every_reason():
    traces = [trace(20)] * 17 + [trace(0, "not found", "not found", "over the fraction"), trace(0), trace(0)]
    assert complaints(traces, nothing="without a hard token") == [
        "3 of 20 traces have no span: 2 without a hard token, 1 every passage not found"
    ]


def test_less_than_half_of_what_was_asked_for_is_said_with_what_became_of_the_rest():
    traces = [trace(9, "not found", "over the fraction", "not found")] * 1000
    assert complaints(traces, asked=True) == [
        "9.0% of the characters are marked, less than half of the 20% asked for: "
        "of the passages, 2,000 not found, 1,000 over the fraction"
    ]
    assert complaints([trace(9)], asked=True) == [
        "9.0% of the characters are marked, less than half of the 20% asked for: so few and short were the passages"
    ]


def test_an_annotator_that_marks_at_most_so_much_need_not_reach_it_unless_something_was_lost():
    assert complaints([trace(9)]) == complaints([trace(9, "not found")]) == []
    assert len(complaints([trace(9, "over the fraction")])) == 1


def test_marks_that_stand_in_responses_alone_are_said_to_do_so():
    assert complaints([trace(20), trace(0, "in the response", "in the response")]) == [
        "1 of 2 traces have no span: 1 every passage in the response"
    ]
    assert complaints([trace(9, "in the response")]) == []


@pytest.mark.parametrize(("answer", "count"), [("", 1), ("4", 0)])
def test_traces_that_would_teach_an_empty_box_are_counted(answer, count):
    assert len(complaints([trace(20, answer=answer)])) == count
