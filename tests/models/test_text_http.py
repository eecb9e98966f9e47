"""A server of text only, as the big model: what it writes becomes tokens, what it cannot do is said."""

import asyncio
import json

import pytest

from splitreason_cli.decoding.pipelined import PipelinedDecoder
from splitreason_cli.models.backend import BackendError, SessionPair, StreamRequest
from splitreason_cli.models.loading import load_tokenizer
from splitreason_cli.models.sampling import GREEDY, Sampling
from splitreason_cli.models.text_http import TextBackend
from splitreason_cli.records import markup
from splitreason_cli.split.controller import SplitController
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import Relay
from splitreason_cli.split.vocabulary import TokenIds
from tests.scripted import TOKENS, scripted
from tests.scripted_backend import ScriptedBackend
from tests.scripted_endpoint import serving
from tests.scripted_vllm import DIE, ScriptedVllm


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("mini-split")


def piece(text, finish_reason=None):
    choice = {"index": 0, "text": text, "finish_reason": finish_reason, "logprobs": None}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def stream_from(server, tokenizer, ids=(5,), max_tokens=50, **options):
    async def run():
        with serving(server) as url:
            backend = TextBackend([url], "mini", tokenizer=tokenizer)
            session, chunks = backend.session(), []
            try:
                await session.prefill([1])
                stop = frozenset({tokenizer.eos_token_id})
                request = StreamRequest(max_tokens, Sampling(0.5), stop, **options)
                async for chunk in session.stream(ids, request):
                    chunks.append(chunk)
            finally:
                await backend.aclose()
        return [token for chunk in chunks for token in chunk.ids], chunks[-1].finish_reason

    return asyncio.run(run())


def test_text_goes_out_and_comes_back_as_tokens_with_the_end_of_text(tokenizer):
    server = ScriptedVllm(steps=(piece("489\n"), piece(""), piece("b) 984", "stop")))
    prompt = tokenizer.encode("a) 482+7\n", add_special_tokens=False)
    ids, reason = stream_from(server, tokenizer, prompt)
    assert tokenizer.decode(ids[:-1]) == "489\nb) 984"
    assert (ids[-1], reason) == (tokenizer.eos_token_id, "stop")
    assert server.bodies == [
        {"model": "mini", "prompt": "a) 482+7\n", "max_tokens": 50, "stream": True, "temperature": 0.5, "top_p": 1.0}
    ]


def test_what_is_longer_in_our_tokens_than_in_the_servers_is_cut(tokenizer):
    ids, reason = stream_from(ScriptedVllm(steps=(piece("4"), piece("8219", "stop"))), tokenizer, max_tokens=3)
    assert (tokenizer.decode(ids), len(ids), reason) == ("482", 3, "length")


def test_a_limit_is_told(tokenizer):
    assert stream_from(ScriptedVllm(steps=(piece("48", "length"),)), tokenizer)[1] == "length"


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ((piece(f"4{markup.OPEN}8"),), "forbidden token"),
        ((piece("4", "content_filter"),), "finish_reason 'content_filter'"),
        ((piece("4"), DIE), "the connection broke"),
        ((piece("4"),), "without a finish_reason"),
    ],
)
def test_a_stream_that_is_not_what_was_asked_for_says_why(tokenizer, steps, complaint):
    tags = frozenset({tokenizer.convert_tokens_to_ids(markup.OPEN)})
    with pytest.raises(BackendError, match=complaint):
        stream_from(ScriptedVllm(steps=steps), tokenizer, forbid=tags)


def test_a_host_that_answers_nothing_is_asked_once_and_the_small_model_goes_on(tokenizer):
    server = ScriptedVllm(steps=(piece(""), piece("", "length")))
    letters = tokenizer.encode("ab", add_special_tokens=False)
    control = TokenIds(None, None, frozenset({tokenizer.eos_token_id}))
    small = ScriptedBackend(scripted("small", 0, 0, letters, TOKENS), 0)

    async def run():
        with serving(server) as url:
            backend = TextBackend([url], "mini", tokenizer=tokenizer)
            controller = SplitController([5], [5], control, Relay(4, 4), Limits(40))
            decoder = PipelinedDecoder(controller, SessionPair(small, backend.session()), GREEDY)
            emitted = [one.emit.author async for one in decoder.run()]
            await backend.aclose()
        return decoder, emitted

    decoder, emitted = asyncio.run(run())
    assert len(server.bodies) == 1
    assert decoder.stats.degraded.endswith("without a token")
    assert set(emitted) == {"small"}
    assert len(decoder.controller.completion) == 40


def test_log_probabilities_are_refused_before_anything_is_sent(tokenizer):
    server = ScriptedVllm()
    with pytest.raises(BackendError, match="no log-probabilities"):
        stream_from(server, tokenizer, logprobs=True)

    async def ask():
        await TextBackend(["http://127.0.0.1:1"], "mini", tokenizer=tokenizer).session().next_token([[1]], 2)

    with pytest.raises(BackendError, match="how likely"):
        asyncio.run(ask())
    assert server.bodies == []
