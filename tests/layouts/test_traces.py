import pytest

from splitreason_cli.layouts.reading import Reading
from splitreason_cli.layouts.traces import traces_of
from splitreason_cli.records.data import SchemaError, Trace

ROW = {
    "problem": "1+1?",
    "answer": "2",
    "uuid": "u",
    "source": "olympiads",
    "generations": ["<think>one</think>2", "<think>two</think>3", "<think>three</think>2"],
    "correctness_math_verify": [True, False, False],
    "correctness_llama": [False, False, True],
    "finish_reasons": ["stop", "stop", "stop"],
    "messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "<think>one</think>2"}],
}


def test_every_correct_generation_becomes_a_trace_with_an_id_of_its_own():
    first, third = traces_of(ROW)
    assert (first.id, first.reasoning, first.response) == ("u-0", "one", "2")
    assert (third.id, third.reasoning) == ("u-2", "three")
    assert first.extra == {"uuid": "u", "source": "olympiads", "generation": 0}


@pytest.mark.parametrize(("wanted", "numbers"), [("first", [0]), ("all", [0, 1, 2])])
def test_the_first_or_all_generations_can_be_taken(wanted, numbers):
    assert [trace.extra["generation"] for trace in traces_of(ROW, Reading(generations=wanted))] == numbers


def test_a_row_without_a_correct_generation_gives_nothing():
    assert traces_of({**ROW, "correctness_math_verify": [False] * 3, "correctness_llama": None}) == []


def test_a_chat_is_a_trace():
    row = {"messages": ROW["messages"], "answer": "2"}
    (trace,) = traces_of(row)
    assert (trace.problem, trace.reasoning, trace.response, trace.answer) == ("1+1?", "one", "2", "2")


def test_a_plain_row_needs_no_id_and_equal_rows_get_equal_ones():
    row = {"problem": "p", "answer": "1", "reasoning": "r"}
    (one,), (same,), (other,) = traces_of(row), traces_of(dict(row)), traces_of({**row, "reasoning": "s"})
    assert one.id == same.id != other.id
    assert one.extra == {}


def test_a_trace_is_taken_as_it_is():
    trace = Trace(id="t", problem="p", answer="1", reasoning=" r ", extra={"mine": 1})
    assert traces_of(trace.to_dict()) == [trace]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (3, "a row is a JSON object"),
        ({"problem": "p"}, "'reasoning', 'generations' and 'messages' are all missing"),
        ({**ROW, "correctness_math_verify": [True]}, "no correctness label for each generation"),
        ({"problem": "p", "generations": ["x"]}, "use --generations all"),
        ({**ROW, "generations": [None] * 3}, "a generation is a text, got NoneType"),
        ({"generations": ["x"], "correctness_math_verify": [True]}, "field 'problem'"),
        ({"messages": [{"role": "user", "content": "p"}]}, "no text of the assistant"),
        ({"kind": "problem", "id": "a", "problem": "p", "answer": "1"}, "expected a record of kind 'trace'"),
    ],
)
def test_a_row_that_holds_no_trace_is_refused_with_what_is_missing(row, message):
    with pytest.raises(SchemaError, match=message):
        traces_of(row)
