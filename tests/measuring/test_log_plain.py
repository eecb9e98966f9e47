"""Rows of logs that nobody here wrote, rebuilt after the programs that write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.layouts.table import ANY
from splitreason_cli.measuring.log_columns import COMPLETIONS, GOLDS, SIGNED
from splitreason_cli.measuring.log_rows import Completion, samples_of
from splitreason_cli.records.data import SchemaError

ASKED, SAID = "What is 6*7?", "It is \\boxed{42}"
TURNS = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": SAID}]
CHOICE = {"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}
REPLY = {"id": "chatcmpl-7", "model": "m", "choices": [CHOICE], "usage": {"completion_tokens": 5}}

ROWS = {
    "verl": {"input": ASKED, "output": SAID, "gts": "42", "score": 1.0, "step": 3},
    "verl_generation": {
        "prompt": [{"role": "user", "content": ASKED}],
        "reward_model": {"ground_truth": "42", "style": "rule"},
        "responses": [SAID],
    },
    "llama_factory": {"prompt": ASKED, "predict": SAID, "label": "42"},
    "swift": {"response": SAID, "labels": "42", "logprobs": None, "messages": TURNS},
    "nemo": {"problem": ASKED, "expected_answer": "42", "generation": SAID, "predicted_answer": "42"},
    "evalchemy": {"problem": ASKED, "answer": "42", "expected_answer": "42", "model_outputs": [SAID]},
    "qwen_math": {"question": ASKED, "gt": "42", "gt_cot": "", "answer": "x", "code": [SAID], "pred": ["42"]},
    "alpaca": {"instruction": ASKED, "output": SAID, "reference": "42"},
    "pipeline": {"prompt": ASKED, "answer": "42", "generated_text": ASKED + SAID},
    "chat_pipeline": {"question": ASKED, "answer": "42", "generated_text": TURNS},
    "trl": {"prompt": TURNS[:1], "completion": TURNS[1:], "answer": "42"},
    "messages": {"messages": [{"role": "system", "content": "Box it."}, *TURNS], "answer": "42"},
    "conversations": {
        "conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": SAID}],
        "answer": "42",
    },
    "parts": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": ASKED}]}, TURNS[1]],
        "answer": "42",
    },
    "chat_completion": {**REPLY, "question": ASKED, "gold": "42"},
    "response_object": {"question": ASKED, "target": "42", "response": REPLY},
    "responses_api": {
        "question": ASKED,
        "gold": "42",
        "response": {"model": "o", "output": [{"type": "reasoning", "summary": []}, {"content": [{"text": SAID}]}]},
    },
    "vllm": {"prompt": ASKED, "answer": "42", "outputs": [{"text": SAID, "token_ids": [1, 2], "stop_reason": 7}]},
    "sglang": {"prompt": ASKED, "answer": "42", "text": SAID, "meta_info": {"completion_tokens": 5}},
    "model_answers_beside_the_gold": {"question": ASKED, "answer": "41", "gold": "42", "response": SAID},
    "null_columns": {"problem": ASKED, "answer": "42", "completion": None, "responses": [SAID], "solution": None},
    "chat_in_columns": {"messages": {"role": ["user", "assistant"], "content": [ASKED, SAID]}, "answer": "42"},
    "bot": {"conversation": [{"from": "Human", "value": ASKED}, {"from": "bot", "value": SAID}], "Final Answer": "42"},
    "developer": {"messages": [{"role": "developer", "content": "Box it."}, *TURNS], "answer": "42"},
    "generated_solution": {"problem": ASKED, "generated_solution": SAID, "expected_answer": "42"},
    "heading": {"problem": ASKED, "response": SAID, "solution": "#### Step 1\nWe multiply.", "answer": "42"},
    "solution": {"problem": ASKED, "solution": "... \\boxed{42}", "response": SAID},
}


def test_logs_know_every_column_of_completions_that_datasets_have():
    known = {name for rank in COMPLETIONS for name in rank} | {*GOLDS, *(name for name, _ in SIGNED)}
    assert {*ANY.columns["completion"], *ANY.columns["generations"]} - known == {"solutions"}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_another_program_gives_its_problem_its_gold_answer_and_its_completion(name):
    logged = samples_of(ROWS[name])
    assert [one.text for one in logged.completions] == [SAID]
    assert logged.question == ASKED
    assert logged.gold[1] == ("... \\boxed{42}" if name == "solution" else "42")


@pytest.mark.parametrize(
    ("row", "ends"),
    [
        ({"response": SAID, "finish_reason": "length"}, ["length"]),
        ({"response": SAID, "stop_reason": "max_tokens"}, ["length"]),
        ({"response": SAID, "stop_reason": "\n\n"}, [None]),
        ({"response": SAID, "finish_reason": "EOS"}, ["stop"]),
        ({"response": SAID, "finish_reason": "content_filter"}, ["content_filter"]),
        ({"response": SAID, "truncated": True}, ["length"]),
        ({"response": SAID, "truncated": False}, ["stop"]),
        ({"response": SAID, "truncated": 0}, [None]),
        ({"responses": [SAID, SAID], "finish_reasons": ["length", "stop"]}, ["length", "stop"]),
        ({"responses": [SAID, SAID], "truncated": [False, True]}, ["stop", "length"]),
        ({"responses": [SAID, SAID], "finish_reason": "stop"}, ["stop", "stop"]),
        ({"outputs": [{"text": SAID, "finish_reason": "length"}, {"text": SAID}]}, ["length", None]),
        ({"text": SAID, "meta_info": {"finish_reason": {"type": "length", "length": 8}}}, ["length"]),
        ({"response": SAID}, [None]),
    ],
)
def test_how_a_completion_ended_is_known_where_the_log_says_it(row, ends):
    found = samples_of({"problem": ASKED, "answer": "42", **row}).completions
    assert [one.finish_reason for one in found] == ends


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"correct": True}, [1.0, 1.0]),
        ({"is_correct": False}, [0.0, 0.0]),
        ({"correctness_math_verify": [True, False]}, [1.0, 0.0]),
        ({"score": 0.5}, [0.5, 0.5]),
        ({"score": 0.73}, [None, None]),
        ({"score": 3.5}, [None, None]),
        ({"score": [1.0]}, [None, None]),
        ({"scores": {"math": {"value": "C"}}}, [1.0, 1.0]),
        ({"label": "7"}, [None, None]),
        ({}, [None, None]),
    ],
)
def test_the_label_of_another_program_is_taken_where_it_is_a_verdict_or_a_mean_of_such(labels, expected):
    logged = samples_of({"problem": ASKED, "answer": "42", "responses": [SAID, "7"], **labels})
    assert [one.label for one in logged.completions] == expected


@pytest.mark.parametrize(
    ("columns", "system"),
    [
        ({"system": "qwen-7b"}, "qwen-7b"),
        ({"model": "My Model 7B"}, "My Model 7B"),
        ({"system": "You are a helpful assistant."}, None),
        ({"system": "You are helpful.", "generator": "g"}, "g"),
        ({"model": "a\tb "}, "a b"),
        ({"model": None}, None),
        ({"model": {"name": "m"}}, None),
        ({}, None),
    ],
)
def test_a_column_names_whose_log_it_is_and_a_system_prompt_does_not(columns, system):
    assert samples_of({"problem": ASKED, "answer": "42", "response": SAID, **columns}).system == system


def test_a_reply_of_a_batch_is_known_by_its_request():
    row = {"custom_id": "p7", "response": {"status_code": 200, "body": REPLY}, "error": None}
    logged = samples_of(row)
    assert (logged.id, logged.system, logged.question, logged.gold) == ("p7", "m", None, None)
    assert logged.completions == (Completion(SAID, "stop", 5),)


@pytest.mark.parametrize(
    "row",
    [
        {"custom_id": "p7", "response": None, "error": {"code": "batch_expired"}},
        {"custom_id": "p7", "response": {"status_code": 400, "body": {"error": {}}}, "error": None},
        {"custom_id": "p7", "error": {"code": "batch_cancelled"}},
        {"problem": ASKED, "answer": "42", "response": None},
        {"problem": ASKED, "answer": "42", "choices": [{"message": {"content": None}}]},
    ],
)
def test_a_request_that_failed_is_no_completion(row):
    assert [one.text for one in samples_of(row).completions] == [None]


def test_a_batch_may_be_anthropics_or_of_the_responses_api():
    message = {"model": "c", "content": [{"type": "text", "text": SAID}], "stop_reason": "max_tokens"}
    theirs = {"custom_id": "p7", "result": {"type": "succeeded", "message": {**message, "usage": {"output_tokens": 5}}}}
    body = {"model": "c", "output": [{"type": "message", "content": [{"type": "output_text", "text": SAID}]}]}
    body |= {"incomplete_details": {"reason": "max_output_tokens"}, "usage": {"output_tokens": 5}}
    for row in (theirs, {"custom_id": "p7", "response": {"status_code": 200, "body": body}}):
        logged = samples_of(row)
        assert (logged.id, logged.system, logged.completions) == ("p7", "c", (Completion(SAID, "length", 5),))
    errored = {"custom_id": "p7", "result": {"type": "errored", "error": {}}}
    assert samples_of(errored).completions == (Completion(None),)


def test_thinking_among_the_parts_of_a_message_stands_before_the_answer():
    parts = [{"type": "reasoning", "reasoning": "6 sevens"}, {"type": "text", "text": SAID}]
    for turn in (
        {"content": parts},
        {"content": SAID, "reasoning": "6 sevens"},
        {"content": SAID, "thinking": "6 sevens"},
        {"content": SAID, "info": {"think_content": "6 sevens"}},
    ):
        row = {"messages": [TURNS[0], {"role": "assistant", **turn}], "answer": "42"}
        assert samples_of(row).completions[0].text == f"6 sevens\n</think>\n\n{SAID}"


def test_two_texts_of_thinking_in_one_turn_are_refused():
    turn = {"role": "assistant", "content": SAID, "reasoning": "6 sevens", "thinking": "7 sixes"}
    with pytest.raises(SchemaError, match="two different texts of thinking"):
        samples_of({"messages": [TURNS[0], turn], "answer": "42"})


def test_of_prompts_that_a_completion_repeats_the_longest_is_taken_off():
    row = {"instruction": "Box it.", "full_prompt": f"Box it. {ASKED}\n", "output": f"Box it. {ASKED}\n{SAID}"}
    assert samples_of({**row, "answer": "42"}).completions[0].text == SAID


def test_a_chat_of_several_turns_is_asked_with_all_that_was_said_before():
    more = [{"role": "user", "content": "Of which number is it the double?"}, {"role": "assistant", "content": "21"}]
    logged = samples_of({"messages": [*TURNS, *more], "answer": "21"})
    assert logged.completions[0].text == "21"
    assert logged.question == f"{ASKED}\n\n{SAID}\n\nOf which number is it the double?"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"messages": [*TURNS, {"role": "user", "content": "thanks"}], "answer": "42"},
            "field 'messages' ends with a turn of the user, which is no completion",
        ),
        (
            {"problem": ASKED, "completion": SAID, "response": "7"},
            "fields 'completion' and 'response' hold different completions",
        ),
        ({"problem": ASKED, "response": {"status": 500}}, "field 'response': no completion among status"),
        ({"question": ASKED, "choices": ["41", "42"], "answer": "B"}, "no known log has the fields question, choices"),
        ({"results": {"AIME24": {"examples": [{}]}}}, "take the rows out: jq -c '.results.AIME24.examples..'"),
        ([{"problem": ASKED}], "a row is a JSON object, got a list; .*jq -c '...'"),
        ("text", "a row is a JSON object, got str"),
    ],
)
def test_what_is_no_row_of_a_log_is_refused_with_the_reason(row, message):
    with pytest.raises(SchemaError, match=message):
        samples_of(row)


def test_what_was_taken_for_what_is_told_with_what_was_left_out():
    row = {
        "instruction": ASKED,
        "output": "the reference",
        "response": SAID,
        "gold": "42",
        "correct": True,
        "model": "m",
    }
    assert samples_of(row).columns == {
        "completion": "response, not output",
        "problem": "instruction",
        "answer": "gold",
        "system": "model",
        "label": "correct",
    }


NAMES = st.sampled_from(
    [
        "response",
        "messages",
        "role",
        "content",
        "choices",
        "message",
        "usage",
        "score",
        "model",
        "output",
        "custom_id",
        "prompt",
        "doc",
        "resps",
        "metrics",
        "predictions",
        "full_prompt",
        "meta_info",
        "text",
        "label",
        "answer",
        "type",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, JSON, max_size=8))
def test_any_row_is_read_or_refused_in_words(row):
    try:
        logged = samples_of(row)
    except SchemaError:
        return
    assert logged.completions
    assert all(one.text is None or isinstance(one.text, str) for one in logged.completions)
    assert all(one.label is None or 0 <= one.label <= 1 for one in logged.completions)
