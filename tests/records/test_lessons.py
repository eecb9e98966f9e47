import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records.data import AnnotatedTrace, Trace
from splitreason_cli.records.lessons import (
    CUT_COLUMNS,
    ends_in_empty_box,
    said_cut,
    why_cut,
    why_unanswered,
    why_wrong_lesson,
)

GOOD = {"id": "t", "problem": "p", "answer": "4", "reasoning": "We add.", "response": "It is 4."}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reasoning": "We <|im_end|> add."}, "field 'reasoning' contains <|im_end|>"),
        ({"response": "It is 4.<|eot_id|>"}, "field 'response' contains <|eot_id|>"),
        ({"answer": "4</think>"}, "field 'answer' contains </think>"),
        ({"response": "It <bigmodel>is 4."}, "field 'response' contains the tag <bigmodel>"),
        ({"extra": {"finish_reason": "length"}}, "the generation was cut: its finish_reason is length"),
        ({"reasoning": "We add the", "response": ""}, "the generation was cut: it ends with 'the'"),
        ({"problem": "What is <think>?"}, None),
        ({}, None),
    ],
)
def test_what_is_wrong_with_a_trace_is_so_before_and_after_annotation(changes, said):
    for trace in (Trace(**GOOD | changes), AnnotatedTrace(**GOOD | changes, spans=(), annotator="x")):
        reason = why_wrong_lesson(trace)
        assert reason is None if said is None else reason.startswith(said)


@pytest.mark.parametrize(
    ("answer", "response", "said"),
    [
        ("", "", "neither an answer nor a response"),
        (" \n", "\t", "neither an answer nor a response"),
        (r"\boxed{}", "", "neither an answer nor a response"),
        ("4", r"So it is \boxed{}.", "ends in an empty"),
        ("", r"Put it in \boxed{}: \boxed{4}", None),
        ("", "It is 4.", None),
        ("0", "", None),
    ],
)
def test_something_must_stand_after_the_thinking(answer, response, said):
    reason = why_unanswered(answer, response)
    assert reason is None if said is None else said in reason


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        (r"The answer is \boxed{}.", True),
        (r"\boxed{ }", True),
        (r"\[ \boxed{\text{ }} \]", True),
        (r"\boxed{\,}", True),
        (r"\fbox{}", True),
        (r"\boxed{4}, I mean \boxed{}", True),
        (r"\boxed{", True),
        (r"\boxed{4}", False),
        (r"\boxed{\{\}}", False),
        (r"\boxed{\emptyset}", False),
        (r"put it in \boxed{}. It is \boxed{\frac{1}{2}}", False),
        (r"\boxed{}^2 is no answer but \boxed 4", True),
        ("It is 4.", False),
        ("", False),
    ],
)
def test_the_last_box_decides(text, empty):
    assert ends_in_empty_box(text) == empty


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"is_reasoning_complete": False}, "is_reasoning_complete is false"),
        ({"is_reasoning_complete": [False]}, "is_reasoning_complete is false"),
        ({"finish_reason": "length"}, "finish_reason is length"),
        ({"finish_reasons": ["length"]}, "finish_reasons is length"),
        ({"finish_reason": "MAX_TOKENS"}, "finish_reason is max_tokens"),
        ({"stop_reason": "max_tokens"}, "stop_reason is max_tokens"),
        ({"done_reason": "length"}, "done_reason is length"),
        ({"truncated": True}, "truncated is true"),
    ],
)
def test_a_column_may_say_that_a_generation_was_cut(columns, said):
    assert said in why_cut("We add.", "It is 4.", columns)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"is_reasoning_complete": True},
        {"is_reasoning_complete": None},
        {"finish_reason": "stop"},
        {"finish_reason": 0},
        {"finish_reason": False},
        {"stop_reason": 128009},
        {"truncated": False},
        {"truncated": 3},
        {"finish_reason": ["length", "stop"]},
    ],
)
def test_other_columns_say_nothing(columns):
    assert why_cut("We add.", "It is 4.", columns) is None


CUT = [
    "so the sum of the",
    "We have x =",
    "and then,",
    r"so \[ x + 1",
    r"so \( x",
    "f(x) = (",
    "either 3 or",
    "x^",
    "2 +",
]
WHOLE = [
    "It is 4",
    "It is 4.",
    "It is a",
    "a) 482+7\n489",
    r"so \( x = 4 \)",
    "所以是四。",
    "It is 42!",
    "[1, 2\n]",
    "I am sure of that",
    "that is what I thought of",
    "**Final answer: 4**",
    "It is written in C++",
    "I was wrong :(",
    "see https://example.org/",
    r"x = 4 \\",
    "",
]


@pytest.mark.parametrize("text", CUT)
def test_thinking_that_stops_in_a_sentence_was_cut_unless_a_response_follows(text):
    assert why_cut(text, "", {})
    assert why_cut(text, "It is 4.", {}) is None


@pytest.mark.parametrize("text", WHOLE)
def test_thinking_that_may_have_ended_was_not_cut(text):
    assert why_cut(text, "", {}) is None


def test_of_several_generations_a_column_speaks_of_each():
    columns = {"finish_reasons": ["stop", "length"], "is_reasoning_complete": [False, None]}
    assert [said_cut(columns, number) for number in range(3)] == [
        "its is_reasoning_complete is false",
        "its finish_reasons is length",
        None,
    ]
    assert said_cut(columns) is None


@given(st.text(), st.sampled_from(CUT_COLUMNS), st.none() | st.booleans() | st.integers() | st.text())
def test_no_text_and_no_column_is_too_strange(text, column, value):
    why_cut(text, "", {column: value})
    assert not (ends_in_empty_box(text) and "box" not in text)


def asked(problem):
    return Trace(id="a", problem=problem, answer="6", reasoning="hm", response="6")


@pytest.mark.parametrize("problem", ["<|im_start|>user\n1+5?<|im_end|>", "[INST] 1+5? [/INST]", "1+5?<|eot_id|>"])
def test_a_whole_prompt_is_no_problem(problem):
    assert "is a whole prompt" in (why_wrong_lesson(asked(problem)) or "")


@pytest.mark.parametrize("problem", ["Reason between <think> and </think>. 1+5?", "If |x|<|y|, is x<y?"])
def test_a_problem_may_speak_of_marks_of_thinking(problem):
    assert why_wrong_lesson(asked(problem)) is None
