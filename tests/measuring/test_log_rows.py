import pytest

from splitreason_cli.measuring.log_rows import Completion, layout_of, samples_of
from splitreason_cli.records.data import SchemaError

LM_EVAL = {
    "doc_id": 0,
    "doc": {"question": "1+1?", "answer": 2},
    "target": "2",
    "arguments": {"gen_args_0": {"arg_0": "Q: 1+1? Box it, as \\boxed{7}.", "arg_1": {}}},
    "resps": [["It is \\boxed{2}", ""]],
    "filter": "boxed",
}
LIGHTEVAL = {
    "doc": {"query": "1+1?", "choices": ["3", "2"], "gold_index": 1, "specific": None},
    "model_response": {"text": ["\\boxed{2}", ""], "reasonings": [None, None], "output_tokens": [[5, 6, 7], []]},
    "metric": {},
}
PLAIN = {"problem": "1+1?", "answer": "2", "completion": "\\boxed{2}"}


def texts(row):
    return [completion.text for completion in samples_of(row).completions]


def test_the_layout_is_known_by_its_fields():
    assert [layout_of(row) for row in (LM_EVAL, LIGHTEVAL, PLAIN, {"kind": "generation"})] == [
        "lm_eval",
        "lighteval",
        "plain",
        "generation",
    ]


@pytest.mark.parametrize("row", [{"problem": "p", "answer": "1"}, {"full_text": "p", "candidates": []}, {}])
def test_an_unknown_layout_is_refused_with_what_it_has_and_what_is_known(row):
    with pytest.raises(SchemaError, match=f"no known log has the fields {', '.join(row) or '.none'}") as caught:
        layout_of(row)
    assert "doc and resps" in str(caught.value)


def test_an_empty_reply_is_an_answer_for_lm_eval_and_a_failed_request_for_lighteval():
    assert texts(LM_EVAL) == ["It is \\boxed{2}", ""]
    assert texts(LIGHTEVAL) == ["\\boxed{2}", None]
    assert texts({**LM_EVAL, "resps": [[None]]}) == [None]


@pytest.mark.parametrize(
    "row",
    [
        {**LM_EVAL, "resps": [["Q: 1+1? Box it, as \\boxed{7}. So 2"]]},
        {**PLAIN, "prompt": "As \\boxed{7}.", "completion": "As \\boxed{7}. So 2"},
        {**LIGHTEVAL, "model_response": {"text": ["As \\boxed{7}. So 2"], "input": "As \\boxed{7}."}},
    ],
)
def test_a_prompt_that_the_log_repeats_is_no_part_of_the_completion(row):
    assert texts(row) == [" So 2"]


def test_thinking_that_came_apart_is_put_before_the_response():
    row = {**PLAIN, "reasoning_content": "maybe \\boxed{3}"}
    assert texts(row) == ["maybe \\boxed{3}\n</think>\n\n\\boxed{2}"]
    assert texts({**row, "completion": ""}) == ["maybe \\boxed{3}"]
    response = {"text": ["\\boxed{2}", ""], "reasonings": ["a", "b"]}
    assert texts({**LIGHTEVAL, "model_response": response}) == ["a\n</think>\n\n\\boxed{2}", "b"]


@pytest.mark.parametrize(
    ("fields", "tokens", "big_tokens"),
    [
        ({}, None, None),
        ({"tokens": 7}, 7, None),
        ({"tokens": "many", "big_tokens": True}, None, None),
        ({"usage": {"completion_tokens": 9}}, 9, None),
        ({"usage": {"completion_tokens": 9, "split": {"big_tokens": 0}}}, 9, 0),
    ],
)
def test_tokens_are_counted_only_where_the_log_counts_them(fields, tokens, big_tokens):
    (completion,) = samples_of({**PLAIN, **fields}).completions
    assert completion == Completion("\\boxed{2}", None, tokens, big_tokens)


def test_tokens_of_lighteval_are_those_it_lists():
    assert [completion.tokens for completion in samples_of(LIGHTEVAL).completions] == [3, None]


@pytest.mark.parametrize("column", ["completion", "response", "generation", "completions", "responses", "generations"])
def test_plain_rows_may_hold_one_completion_or_a_list(column):
    row = {"problem": "1+1?", "answer": "2"}
    assert texts({**row, column: "a"}) == ["a"]
    logged = samples_of({**row, column: ["a", "b"], "finish_reasons": ["length", None], "tokens": 3})
    assert logged.completions == (Completion("a", "length"), Completion("b"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**PLAIN, "completion": 3}, "field 'completion': a completion is a text, got int"),
        ({**PLAIN, "completion": []}, "field 'completion' holds no completion"),
        ({**LM_EVAL, "resps": [[["-1.5", "False"]]]}, "field 'resps': a completion is a text, got list"),
        (
            {**LIGHTEVAL, "model_response": {"text": [], "logprobs": [-1.0]}},
            "'model_response.text' holds no completion",
        ),
    ],
)
def test_logs_without_generated_text_are_refused(row, message):
    with pytest.raises(SchemaError, match=message):
        samples_of(row)
