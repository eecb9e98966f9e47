import pytest

from splitreason_cli.layouts.reading import Reading, Refusal
from splitreason_cli.layouts.traces import read_traces, traces_of
from splitreason_cli.records.data import SchemaError, Trace

MARKED = "<think>\nhm\nyes\n</think>\n\nIt is \\boxed{6}."
SOLVED = ("1+5?", "hm\nyes", "It is \\boxed{6}.")
QUESTION = {"role": "user", "content": "1+5?"}
SOLUTION = {"role": "assistant", "content": MARKED}
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


def chat(*turns, **others):
    return {"messages": list(turns), **others}


def said(role, text, **others):
    return {"role": role, "content": text, **others}


BEGUN = (
    "<|begin_of_thought|>\n\nhm\nyes\n\n<|end_of_thought|>\n\n"
    "<|begin_of_solution|>\n\nIt is \\boxed{6}.\n\n<|end_of_solution|>"
)
DATASETS = {
    "OpenR1-Math-220k": {**ROW, "problem": "1+5?", "generations": [MARKED], "answer": "6"}
    | {"correctness_math_verify": [True], "correctness_llama": [True]},
    "Mixture-of-Thoughts": chat(QUESTION, SOLUTION, num_tokens=9, source="s"),
    "OpenThoughts-114k": {
        "system": "Think.",
        "conversations": [{"from": "user", "value": "1+5?"}, {"from": "assistant", "value": BEGUN}],
    },
    "OpenThoughts-114k metadata": {
        "problem": "1+5?",
        "deepseek_reasoning": "hm\nyes",
        "deepseek_solution": "It is \\boxed{6}.",
        "ground_truth_solution": "Add them: \\boxed{6}",
        "domain": "math",
        "source": "s",
        "test_cases": None,
        "starter_code": None,
    },
    "OpenThoughts2-1M": {
        "conversations": [{"from": "user", "value": "1+5?"}, {"from": "assistant", "value": MARKED}],
        "question": "1+5?",
        "source": "s",
        "id": 3,
    },
    "OpenThoughts3-1.2M": {
        "difficulty": 3,
        "source": "s",
        "domain": "math",
        "conversations": [{"from": "human", "value": "1+5?"}, {"from": "gpt", "value": MARKED}],
    },
    "Bespoke-Stratos-17k": {
        "system": "Think.",
        "conversations": [{"from": "user", "value": "1+5?"}, {"from": "assistant", "value": BEGUN}],
    },
    "s1K": {
        "solution": "6",
        "question": "1+5?",
        "cot_type": "math",
        "source_type": "s",
        "metadata": "{}",
        "cot": None,
        "thinking_trajectories": ["hm\nyes"],
        "attempt": "It is \\boxed{6}.",
    },
    "s1K-1.1": {
        "solution": "As 1+5 is six: \\boxed{6}",
        "question": "1+5?",
        "cot_type": "math",
        "source_type": "s",
        "metadata": "{}",
        "gemini_thinking_trajectory": "other",
        "gemini_attempt": "Seven",
        "deepseek_thinking_trajectory": "hm\nyes",
        "deepseek_attempt": "It is \\boxed{6}.",
        "gemini_grade": "No",
        "deepseek_grade": "Yes",
    },
    "OpenMathReasoning": {
        "problem": "1+5?",
        "generated_solution": MARKED,
        "expected_answer": "6",
        "problem_type": "has_answer_extracted",
        "inference_mode": "cot",
    },
    "AceReason-1.1-SFT": {"category": "math", "source": "s", "input": "1+5?", "output": MARKED},
    "Dolphin-R1": {
        "messages": [said("system", "You are helpful."), QUESTION],
        "reasoning": "hm\nyes",
        "answer": "It is \\boxed{6}.",
        "model": "r1",
    },
    "AM-DeepSeek-R1-Distilled": chat(
        said("user", "1+5?", info={"reference_answer": "6", "think_content": None}),
        said(
            "assistant",
            "<think>hm\nyes</think><answer>It is \\boxed{6}.</answer>",
            info={"think_content": "hm\nyes", "answer_content": "It is \\boxed{6}."},
        ),
    ),
    "prompt and completion": {"prompt": "1+5?", "completion": MARKED},
    "prompt and completion as chats": {"prompt": [QUESTION], "completion": [SOLUTION]},
    "reasoning_content": chat(QUESTION, said("assistant", "It is \\boxed{6}.", reasoning_content="hm\nyes")),
    "reasoning": chat(QUESTION, said("assistant", "It is \\boxed{6}.", reasoning="hm\nyes")),
    "thinking": chat(QUESTION | {"thinking": None}, said("assistant", "It is \\boxed{6}.", thinking="hm\nyes")),
    "thinking twice, the same": chat(QUESTION, {**SOLUTION, "reasoning_content": "hm\nyes"}),
    "content parts": chat(
        said("user", [{"type": "text", "text": "1+"}, {"type": "text", "text": "5?"}]),
        said("assistant", [{"type": "text", "text": MARKED}]),
    ),
    "thinking as a part": chat(
        QUESTION,
        said("assistant", [{"type": "thinking", "thinking": "hm\nyes"}, {"type": "text", "text": "It is \\boxed{6}."}]),
    ),
    "thinking as a part of parts": chat(
        QUESTION,
        said(
            "assistant",
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm\nyes"}]},
                {"type": "text", "text": "It is \\boxed{6}."},
            ],
        ),
    ),
    "chat in columns": {"messages": {"role": ["user", "assistant"], "content": ["1+5?", MARKED]}},
    "reasoning_content beside content": {
        "input": "1+5?",
        "reasoning_content": "hm\nyes",
        "content": "It is \\boxed{6}.",
        "score": 10,
    },
    "Multilingual-Thinking": {
        "reasoning_language": "French",
        "analysis": "hm\nyes",
        "final": "It is \\boxed{6}.",
        "messages": [QUESTION, said("assistant", "It is \\boxed{6}.", thinking="hm\nyes")],
    },
    "a marked text of a name that nobody knows": {"problem": "1+5?", "reannotated_content": MARKED, "solution": "Add."},
    "<thinking>": {"prompt": "1+5?", "response": "<thinking>hm\nyes</thinking>\n<answer>It is \\boxed{6}.</answer>"},
    "[THINK]": {"prompt": "1+5?", "response": "[THINK]hm\nyes[/THINK]It is \\boxed{6}."},
    "gpt-oss": {
        "prompt": "1+5?",
        "response": "<|channel|>analysis<|message|>hm\nyes<|end|><|start|>assistant<|channel|>final<|message|>"
        "It is \\boxed{6}.<|return|>",
    },
    "a yes is no reasoning": {"question": "1+5?", "thinking": True, "response": MARKED},
    "a switch is no reasoning": {"input": [QUESTION], "output": MARKED, "reasoning": "on", "category": "math"},
    "a marked solution": {"problem": "1+5?", "solution": MARKED},
    "a marked answer": {"question": "1+5?", "answer": MARKED, "ground_truth": 6.0},
    "Question, CoT, Response": {"Question": "1+5?", "Complex_CoT": "hm\nyes", "Response": "It is \\boxed{6}."},
    "reasoning wrapped in its marks": {"problem": "1+5?", "reasoning": MARKED, "answer": 6},
    "trailing thanks": chat(QUESTION, SOLUTION, said("user", "thanks")),
}
KNOWS_ANSWER = (
    "OpenR1-Math-220k", "OpenThoughts-114k metadata", "s1K", "s1K-1.1", "OpenMathReasoning", "AM-DeepSeek-R1-Distilled",
    "a marked answer", "reasoning wrapped in its marks",
)  # fmt: skip


@pytest.mark.parametrize("name", DATASETS)
def test_a_public_layout_is_read_as_what_it_means(name):
    (trace,) = traces_of(DATASETS[name])
    assert (trace.problem, trace.reasoning, trace.response) == SOLVED
    assert trace.answer == ("6" if name in KNOWS_ANSWER else "")


def test_the_solutions_of_a_problem_in_columns_of_their_own_are_generations():
    row = {"question": "1+5?", "final_answer": "6", "difficulty": 4.0, "topic": "t"}
    row |= {f"r1_solution_{number}": f"hm {number}\n</think>\nIt is 6." for number in (1, 2, 3)}
    traces = traces_of(row)
    assert [trace.reasoning for trace in traces] == ["hm 1", "hm 2", "hm 3"]
    assert {(trace.response, trace.answer) for trace in traces} == {("It is 6.", "6")}
    assert len({trace.id for trace in traces}) == 3
    assert traces[0].extra == {"difficulty": 4.0, "topic": "t", "generation": 0}
    assert len(traces_of(row, Reading(generations="first"))) == 1


def test_a_solution_that_its_makers_call_thinking_needs_no_marks():
    (trace,) = traces_of({"question": "q", "solution": "Okay, so I add.\n\\boxed{6}", "answer": "6"})
    assert (trace.reasoning, trace.response, trace.answer) == ("Okay, so I add.\n\\boxed{6}", "", "6")


def test_of_graded_attempts_only_right_ones_are_wanted():
    row = DATASETS["s1K-1.1"] | {"deepseek_grade": "No"}
    assert traces_of(row) == []
    assert len(traces_of(row, Reading(generations="all"))) == 1


def test_a_system_turn_is_kept_beside_the_problem_and_said():
    read = read_traces(chat(said("system", "Be brief."), QUESTION, SOLUTION))
    assert (read.value[0].problem, read.value[0].extra) == ("1+5?", {"system": "Be brief."})
    assert "the system turn is kept in field 'system'" in read.understood.line(1)


def test_the_system_turn_of_a_prompt_is_kept_too_beside_a_column_of_that_name():
    prompt = [said("system", "Be brief."), QUESTION]
    (trace,) = traces_of({"prompt": prompt, "completion": MARKED, "system": "qwen"})
    assert (trace.problem, trace.extra) == ("1+5?", {"system": "qwen", "system_turn": "Be brief."})


def test_a_turn_that_is_left_out_is_said():
    read = read_traces(DATASETS["trailing thanks"])
    assert "a user's turn after the solution is left out" in read.understood.line(1)


NO_THINKING = [
    chat(QUESTION, said("assistant", "Add them. \\boxed{6}"), source="x", problem="1+5?", solution="Add them."),
    {"problem": "1+5?", "solution": "Add them. \\boxed{6}", "answer": "6"},
    {"prompt": "1+5?", "completion": "Add them. \\boxed{6}"},
    {"problem": "1+5?", "generations": ["Add them. \\boxed{6}"], "correctness_math_verify": [True]},
    {"prompt": "1+5?", "response": "<think>\n\n</think>\n\nAdd them. \\boxed{6}"},
]


@pytest.mark.parametrize("row", NO_THINKING)
def test_a_solution_without_thinking_is_a_trace_only_if_that_is_asked(row):
    with pytest.raises(SchemaError, match=r"without thinking|empty thinking"):
        traces_of(row)
    (trace,) = traces_of(row, Reading(thinking=False))
    assert (trace.reasoning, trace.response) == ("Add them. \\boxed{6}", "")


def test_where_no_thinking_is_asked_for_thinking_stays_apart():
    assert traces_of(DATASETS["reasoning_content"], Reading(thinking=False))[0].response == "It is \\boxed{6}."


MORE = [QUESTION, SOLUTION, said("user", "and 2+5?"), said("assistant", "<think>so</think>7")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (chat(*MORE), "its turns: user, assistant, user, assistant"),
        ({"conversations": [{"from": one["role"], "value": one["content"]} for one in MORE]}, "its turns: user, assis"),
        (chat(QUESTION, QUESTION, SOLUTION), "its turns: user, user, assistant"),
        (chat(QUESTION, SOLUTION, SOLUTION), "its turns: user, assistant, assistant"),
        (chat(SOLUTION), "its turns: assistant"),
        (chat(QUESTION, said("system", "s"), SOLUTION), "its turns: user, system, assistant"),
        (chat(QUESTION, said("tool", "4"), SOLUTION), "a turn of the role 'tool' has no place"),
        (chat(QUESTION, SOLUTION | {"tool_calls": [{"id": "x"}]}), "a turn with tool calls"),
        (
            chat(said("user", [{"type": "image_url", "image_url": {}}]), SOLUTION),
            "a part of type 'image_url' is no text",
        ),
        (chat(QUESTION, said("assistant", None)), "the assistant's turn holds no text, got null"),
        (chat(QUESTION, said("assistant", "It is 6.", reasoning_content=None)), "holds a solution without thinking"),
        (chat(QUESTION, said("assistant", "It is 6.", reasoning_content=" ")), "holds a solution without thinking"),
        (chat(QUESTION, SOLUTION | {"reasoning_content": "other"}), "holds other thinking than the field beside it"),
        (chat(QUESTION, said("assistant", "<think>hm")), "is cut: its thinking is never closed by </think>"),
        (chat(QUESTION, said("assistant", f"Sure! {MARKED}")), "has text before <think>"),
        (chat(said("user", " "), SOLUTION), "the user's turn is empty"),
        ({"prompt": MORE[:3], "completion": MORE[3:]}, "its turns: user, assistant, user"),
        (chat(*MORE[:3], reasoning="so", answer="7"), "the chat goes on after a solution"),
        ({"problem": "p", "reasoning": None, "answer": "1"}, "field 'reasoning' holds no thinking"),
        ({"problem": "p", "reasoning": "<think>hm", "answer": "1"}, "is cut"),
        ({"instruction": "Sum up", "input": "1+5?", "output": MARKED}, "'input' alone is not the whole"),
        ({"question": "Which?", "choices": ["a", "b"], "response": MARKED}, "field 'choices' is part of the question"),
        ({"problem": "p", "reasoning": "r", "answer": {"a": 1}}, "expected a text or a number, got dict"),
        ({"problem": "p", "reasoning": "r", "answer": ["1", "2"]}, "got a list of 2; give the one right answer"),
        ({"problem": "p", "reasoning": "r", "id": 1.5}, "an id is a text or an integer, got float"),
        (
            {"problem": "p", "output": MARKED, "llm_response": "<think>a</think>b"},
            "'output' and 'llm_response' may both",
        ),
        ({"problem": "p", "thinking": "a", "cot": "b"}, "'thinking' and 'cot' may both hold the reasoning, and differ"),
        (
            {"problem": "p", "reasoning": "a", "cot": "b"},
            "'reasoning' and 'cot' may both hold the reasoning",
        ),
        ({"question": "p", "answer": "6", "analysis": "It is six."}, "no column holds a trace"),
        ({"prompt": "p", "chosen": MARKED, "rejected": "<think>a</think>b"}, "'chosen' and 'rejected' may both hold"),
        (3, "a row is a JSON object"),
        ({"problem": "p"}, "no column holds a trace; the row has problem"),
        ({**ROW, "correctness_math_verify": [True]}, "no correctness label for each generation"),
        ({"problem": "p", "generations": ["x"]}, "use --generations all"),
        ({**ROW, "generations": [None] * 3}, r"generations\[0\] is a text, got null"),
        ({"generations": [MARKED], "correctness_math_verify": [True]}, "no column holds the problem"),
        (chat(QUESTION), "no column holds a trace"),
        ({"kind": "problem", "id": "a", "problem": "p", "answer": "1"}, "expected a record of kind 'trace'"),
    ],
)
def test_a_row_that_holds_no_one_trace_is_refused_with_the_reason(row, message):
    with pytest.raises(SchemaError, match=message):
        traces_of(row)


def test_one_bad_generation_spoils_no_other():
    row = {**ROW, "generations": [*ROW["generations"][:2], "<think>cut"]}
    one, two, refusal = traces_of(row, Reading(generations="all"))
    assert (one.id, two.id) == ("u-0", "u-1")
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("generations[2] is cut")


@pytest.mark.parametrize("says", [{"is_reasoning_complete": [False, True]}, {"finish_reasons": ["length", "stop"]}])
def test_a_generation_that_the_row_calls_cut_is_none(says):
    row = {"problem": "p", "generations": [MARKED, MARKED], "correctness": [True, True], **says}
    refusal, trace = traces_of(row)
    assert "generations[0] is cut: " in refusal.reason
    assert trace.extra == {"generation": 1}


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


def test_a_plain_row_needs_no_id_and_equal_rows_get_equal_ones():
    row = {"problem": "p", "answer": "1", "reasoning": "r"}
    (one,), (same,), (other,) = traces_of(row), traces_of(dict(row)), traces_of({**row, "reasoning": "s"})
    assert one.id == same.id != other.id
    assert one.extra == {}


def test_a_trace_is_taken_as_it_is():
    trace = Trace(id="t", problem="p", answer="1", reasoning=" r ", extra={"mine": 1, "choices": [1], "kind_of": "x"})
    assert traces_of(trace.to_dict()) == [trace]


def test_a_trace_that_carries_a_long_chat_along_is_still_one():
    row = {"problem": "p", "answer": "1", "reasoning": "r", "messages": MORE}
    (trace,) = traces_of(row)
    assert (trace.reasoning, trace.extra) == ("r", {"messages": MORE})


def test_a_question_of_its_own_column_is_none_of_a_chat_that_travels_along():
    (trace,) = traces_of({"question": "1+5?", "reasoning": "hm", "messages": MORE})
    assert (trace.problem, trace.reasoning) == ("1+5?", "hm")


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ({"problem": "q", "reasoning": "trace", "response": "out", "answer": "gold"}, {}),
        ({"problem": "q", "completion": "whole", "answer": "gold"}, {}),
        ({"problem": "q", "generations": "all_of_them", "answer": "gold"}, {}),
        ({"problem": "meta.q", "completion": "whole", "answer": "meta.gold"}, {}),
        ({"messages": "dialogue", "answer": "gold"}, {}),
        (
            {"problem": "q", "reasoning": "trace", "response": "out", "answer": "gold"},
            {"reasoning": "o", "answer": "9"},
        ),
    ],
)
def test_named_columns_go_before_all_others(columns, row):
    row |= {"q": "1+5?", "trace": "hm\nyes", "out": "It is \\boxed{6}.", "whole": MARKED, "gold": 6}
    row |= {"all_of_them": [MARKED], "meta": {"q": "1+5?", "gold": [6.0]}, "dialogue": [QUESTION, SOLUTION]}
    (trace,) = traces_of(row, Reading(tuple(columns.items()), generations="all"))
    assert (trace.problem, trace.reasoning, trace.response, trace.answer) == (*SOLVED, "6")


def test_a_named_column_that_a_row_lacks_is_an_error_with_those_it_has():
    with pytest.raises(
        SchemaError, match="column 'trace' of --columns reasoning=trace is missing; the row has problem"
    ):
        traces_of({"problem": "p", "reasoning": "r"}, Reading((("reasoning", "trace"),)))


def test_what_was_understood_is_one_plain_line():
    read = read_traces(DATASETS["s1K-1.1"])
    assert read.understood.line(3) == (
        "problem <- question, answer <- solution, reasoning <- deepseek_thinking_trajectory, "
        "response <- deepseek_attempt, correct <- deepseek_grade, 3 generations a row"
    )


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_where_no_solution_is_given_none_becomes_no_answer(nothing):
    row = DATASETS["OpenThoughts-114k metadata"] | {"ground_truth_solution": nothing}
    assert traces_of(row)[0].answer == ""


@pytest.mark.parametrize("nothing", ["-", "n/a", "N/A", "None"])
def test_what_stands_for_no_text_is_neither_a_problem_nor_a_trace(nothing):
    with pytest.raises(SchemaError, match="which is no problem"):
        traces_of({"input": nothing, "output": MARKED})
    with pytest.raises(SchemaError, match="no column holds a trace"):
        traces_of({"problem": "1+5?", "generated_solution": nothing}, Reading(thinking=False))


def test_a_response_that_its_makers_scored_as_wrong_is_not_wanted():
    row = {"prompt": "1+5?", "llm_response": MARKED, "gold_standard_solution": "So \\boxed{6}"}
    assert traces_of({**row, "score": 0.0}) == []
    assert traces_of({**row, "score": 1.0})[0].answer == "6"


@pytest.mark.parametrize("field", ["reference_answer", "ground_truth"])
def test_the_answer_that_a_chat_states_is_its_gold(field):
    assert traces_of(chat({**QUESTION, "info": {field: "6"}}, SOLUTION))[0].answer == "6"


@pytest.mark.parametrize(
    "text", ["<Thought>\nhm\n</Thought>\n<Output>\n6\n</Output>", "<reasoning>hm</reasoning>\n<answer>6</answer>"]
)
def test_marks_of_other_families_part_thinking_from_response(text):
    (trace,) = traces_of({"instruction": "1+5?", "output": text})
    assert (trace.reasoning, trace.response) == ("hm", "6")
