import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records import markup
from splitreason_cli.records.data import (
    KINDS,
    AnnotatedTrace,
    HardSpan,
    Message,
    SftConversation,
    SftExample,
    Unplaced,
)
from splitreason_cli.records.measurement import UNKNOWN
from splitreason_cli.store.embedded import SAMPLE_DATA
from splitreason_cli.viewing.records import LABELS, VIEWED, view_of
from tests.made_up_run import generation

EDGES = st.integers(-3, 25)


def annotated(reasoning="one\ntwo\nthree", spans=((4, 7),), **changed):
    hard = tuple(HardSpan(start=start, end=end, score=1.5) for start, end in spans)
    values = {"id": "a", "problem": "p", "answer": "4", "annotator": "x"}
    return AnnotatedTrace(reasoning=reasoning, spans=hard, **{**values, **changed})


def example(completion, **changed):
    prompt = (Message(role="user", content="p"),)
    return SftExample(**{"id": "a", "split": "train", "prompt": prompt, "completion": completion, **changed})


def conversation(*turns):
    messages = tuple(Message(role=role, content=content) for role, content in turns)
    return SftConversation(id="a", split="test", messages=messages)


def marked(view):
    return [part.text for part in view.parts if part.marked]


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_each_kind_has_a_view_or_is_no_text(kind):
    for line in (SAMPLE_DATA / "records" / f"{kind}.jsonl").read_bytes().splitlines():
        view = view_of(KINDS[kind].from_dict(orjson.loads(line)))
        assert (view is not None) == (kind in VIEWED)
        if view:
            assert view.facets["Kind"] == [kind]


@given(st.text(max_size=20), st.lists(st.tuples(EDGES, EDGES), max_size=5))
def test_a_view_has_the_whole_reasoning_and_marks_what_lies_in_spans(reasoning, spans):
    view = view_of(annotated(reasoning, spans))
    assert view.text == reasoning
    flags = "".join(("x" if part.marked else "-") * part.size for part in view.parts)
    inside = [any(start <= at < end for start, end in spans) for at in range(len(reasoning))]
    assert flags == "".join("x" if one else "-" for one in inside)


def test_what_is_known_of_an_annotated_trace_stands_beside_it():
    lost = (Unplaced(snippet="not there", similarity=0.4),)
    view = view_of(annotated(unplaced=lost, response="So 4."))
    assert view.facts == {
        "answer": "4",
        "annotator": "x",
        "spans": "1",
        "marked": "23.1% of 13 characters",
        "not placed": "1",
    }
    assert view.after == [
        ("Response", "So 4."),
        ("Snippets not marked in it", "not there\n(not found, best place 0.40 alike)"),
    ]
    assert view.facets[LABELS] == ["a snippet not placed"]
    assert [part.note for part in view.parts if part.marked] == ["score 1.5"]


def test_what_is_marked_in_the_response_is_no_lost_snippet():
    outside = (Unplaced(snippet="So 4.", similarity=1.0, reason="in the response"),)
    view = view_of(annotated(unplaced=outside, response="So 4."))
    assert view.facts["not placed"] == "0"
    assert view.facets[LABELS] == ["marks in the response"]
    assert "not placed" not in view.brief
    assert view.after[-1] == ("Snippets not marked in it", "So 4.\n(in the response)")


def test_labels_to_look_at_can_be_filtered():
    loose = HardSpan(start=0, end=3, score=1.0, similarity=0.9)
    assert view_of(annotated(spans=())).facets[LABELS] == ["no span"]
    assert view_of(annotated(spans=())).brief == "no span in 13 characters"
    trace = annotated()
    view = view_of(AnnotatedTrace(**{**vars(trace), "spans": (loose,)}))
    assert view.facets[LABELS] == ["a snippet placed loosely"]
    assert view.parts[0].note == "score 1, 0.90 alike"
    assert view_of(annotated()).facets[LABELS] == []


@pytest.mark.parametrize("spans", [[(4, 99)], [(0, 5), (3, 7)], [(5, 5)], [(-2, 4)], [(4, 7), (0, 2)]])
def test_spans_that_do_not_fit_their_text_are_called_broken(spans):
    view = view_of(annotated(spans=spans))
    assert "broken" in view.facets[LABELS]
    assert "span [" in view.facts["broken"]


def test_tags_of_a_training_example_become_marks():
    view = view_of(example(f"one {markup.OPEN}two{markup.CLOSE} three", tokens=1234))
    assert view.text == "one two three"
    assert marked(view) == ["two"]
    assert view.facts["tokens"] == "1,234"
    assert view.facets["Split"] == ["train"]


@pytest.mark.parametrize("completion", [f"one {markup.OPEN}two", f"one{markup.CLOSE} two", "one < big model > two"])
def test_broken_tags_are_shown_as_they_are(completion):
    view = view_of(example(completion))
    assert view.text == completion
    assert marked(view) == []
    assert view.facts["broken"]
    assert view.facets[LABELS] == ["no span", "broken"]


def test_the_last_turn_of_the_assistant_is_what_is_taught():
    turns = [("system", "s"), ("user", "u"), ("assistant", f"{markup.OPEN}a{markup.CLOSE}"), ("user", "later")]
    view = view_of(conversation(*turns))
    assert marked(view) == ["a"]
    assert view.problem == "[system]\ns\n\n[user]\nu"
    assert view.after == [("Turns after it", "[user]\nlater")]


@pytest.mark.parametrize("turns", [[], [("user", "u")]])
def test_a_conversation_without_an_assistant_is_broken(turns):
    view = view_of(conversation(*turns))
    assert view.facts["broken"] == "no message has the role assistant"
    assert view.text == ""


def test_what_a_log_did_not_say_is_no_nought():
    bare = generation(extra={UNKNOWN: ["authors", "tokens", "big_tokens", "seconds"]})
    view = view_of(bare)
    assert {name for name, fact in view.facts.items() if fact == "not in the log"} == {"tokens", "spans", "seconds"}
    assert view.share is None
    assert view.brief == "✓ right"


def test_a_generation_says_how_it_ended_and_why_it_has_no_verdict():
    view = view_of(generation(correct=None, ungraded_reason="too slow", unclosed=1, finish_reason="length", cut=1))
    assert view.facts["verdict"] == "? no verdict: too slow"
    assert view.facts["spans"] == "1, 1 cut by a limit, the last one never closed"
    assert view.facets["Ended"] == ["at the token limit", "inside a span"]
