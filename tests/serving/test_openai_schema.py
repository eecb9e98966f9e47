import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.serving.openai_schema import ApiError, RequestLimits, parse_chat, parse_completion

LIMITS = RequestLimits(("pair",), max_tokens=100)
FIELDS = (
    "model", "messages", "prompt", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "n",
    "stream", "stream_options", "offload_budget", "policy", "show_tags", "logprobs", "tools", "top_k", "echo",
)  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "pair", "5%", "user", "text", "é\n"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "include_usage"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def outcome(parse, data):
    """What was understood, or the error."""
    try:
        return parse(data, LIMITS)
    except ApiError as error:
        return error


@pytest.mark.parametrize("parse", [parse_chat, parse_completion])
@given(changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
def test_any_json_is_understood_or_refused_by_the_name_of_a_field(parse, changes):
    body = {"model": "pair", "prompt": "x", "messages": [{"role": "user", "content": "x"}], **changes}
    asked = outcome(parse, json.dumps(body).encode())
    if isinstance(asked, ApiError):
        assert asked.status in (400, 404)
        assert asked.param in changes
    else:
        assert asked.generations
        assert all(1 <= request.max_tokens <= 100 for request in asked.generations)
        assert all(bool(request.messages) != (request.prompt is not None) for request in asked.generations)


@pytest.mark.parametrize("parse", [parse_chat, parse_completion])
@given(data=st.binary(max_size=50))
def test_bytes_that_are_no_request_are_refused(parse, data):
    assert outcome(parse, data).status == 400


@pytest.mark.parametrize("name", ["ofload_budget", "offload-budget", "show_tag", "polcy"])
def test_a_misspelt_field_of_ours_is_not_ignored(name):
    error = outcome(parse_completion, json.dumps({"model": "pair", "prompt": "x", name: 0.1}).encode())
    assert isinstance(error, ApiError)
    assert "Did you mean" in str(error)
    assert outcome(parse_completion, b'{"model": "pair", "prompt": "x", "store": true, "metadata": {}}').model == "pair"
