import orjson
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.models.answers import read_answer, text_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(content=json_values, reasoning=json_values, calls=json_values, usage=json_values, finish=json_values)
def test_fields_of_any_type_are_read_as_texts_that_can_be_written(content, reasoning, calls, usage, finish):
    message = {"content": content, "reasoning": reasoning, "tool_calls": calls, "refusal": content}
    answer = read_answer({"choices": [{"message": message, "finish_reason": finish}], "usage": usage}).read()
    orjson.dumps([answer.text, answer.thinking, answer.arguments, answer.refusal, answer.finish_reason, answer.tokens])


@given(st.text())
def test_a_text_is_itself_however_it_is_cut_into_parts(text):
    assert text_of(text) == text
    parts = [{"type": "text", "text": text[:2]}, {"type": "output_text", "text": text[2:]}]
    assert text_of(parts) == text
    assert text_of([*parts, {"type": "image_url", "image_url": {}}, {"type": "thinking", "text": "no"}]) == text


def test_halves_of_a_character_become_one_or_a_mark():
    assert text_of("\ud83d\ude00 \ud800") == "😀 \ufffd"


def test_what_a_server_does_not_count_is_nothing():
    for usage in (None, [], {"prompt_tokens": -1, "completion_tokens": "7"}, {"prompt_tokens": 10**40}):
        assert read_answer({"choices": [{}], "usage": usage}).tokens == (0, 0)
    assert read_answer({"choices": [{}], "usage": {"prompt_tokens": 3.0, "completion_tokens": 4}}).tokens == (3, 4)
