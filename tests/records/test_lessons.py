import pytest

from splitreason_cli.records.data import AnnotatedTrace, Trace
from splitreason_cli.records.lessons import why_unanswered, why_wrong_lesson

WHOLE = {"id": "t", "problem": "p", "answer": "4", "reasoning": "We add.", "response": "It is 4."}


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
    for trace in (Trace(**WHOLE | changes), AnnotatedTrace(**WHOLE | changes, spans=(), annotator="x")):
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


def asked(problem):
    return Trace(id="a", problem=problem, answer="6", reasoning="hm", response="6")


@pytest.mark.parametrize("problem", ["<|im_start|>user\n1+5?<|im_end|>", "[INST] 1+5? [/INST]", "1+5?<|eot_id|>"])
def test_a_whole_prompt_is_no_problem(problem):
    assert "is a whole prompt" in (why_wrong_lesson(asked(problem)) or "")


@pytest.mark.parametrize("problem", ["Reason between <think> and </think>. 1+5?", "If |x|<|y|, is x<y?"])
def test_a_problem_may_speak_of_marks_of_thinking(problem):
    assert why_wrong_lesson(asked(problem)) is None
