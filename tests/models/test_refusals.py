import pytest

from splitreason_cli.models.refusals import is_of_input

OF_THE_INPUT = [
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    "'max_tokens' is too large: 1000. This model's maximum context length is 4096 tokens (1000 > 4096 - 4000)",
    "the request exceeds the available context size. try increasing the context size or enable context shift",
    "The input (9001 tokens) is longer than the model's context length (8192 tokens).",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "Input length 5000 exceeds the maximum allowed length of 4096",
    "Please reduce the length of the messages. string_above_max_length",
    "Range of input length should be [1, 30720] context window",
    "Request too large for model `m` on tokens per minute",
    "openai/gpt-x requires moderation. Your input was flagged for violence/graphic",
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "Content Exists Risk",
    "Input data may contain inappropriate content. DataInspectionFailed",
    "Invalid prompt: it may violate our usage policy",
    "The prompt violates our community guidelines",
    "Your request was rejected as a result of our safety system.",
]
OF_THE_ENDPOINT = [
    "The model `m` does not exist or you do not have access to it.",
    "No endpoints found that can handle the requested parameters.",
    "This response_format type is unavailable now",
    "Unsupported value: 'temperature' does not support 0 with this model.",
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
    "Your account was flagged, contact support",
    "This API key has been disabled for harmful use",
    "Country, region, or territory not supported",
    "Invalid schema for response_format 'snippets'",
    "bad request",
]


@pytest.mark.parametrize("words", OF_THE_INPUT)
def test_refusals_that_blame_the_input_are_known_by_their_words(words):
    assert is_of_input(words)


@pytest.mark.parametrize("words", OF_THE_ENDPOINT)
def test_refusals_that_would_meet_any_input_are_not_blamed_on_one(words):
    assert not is_of_input(words)
