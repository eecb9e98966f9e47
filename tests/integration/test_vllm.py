"""Two real vLLM servers with the embedded pair, against transformers in this process.

Skipped unless vLLM is importable by the interpreter that SRX_VLLM_PYTHON names, or by this one. To run it:

    SRX_VLLM_PYTHON=/path/to/python python -m pytest -n 0 tests/integration

On a CPU the servers take a minute or two to start.
"""

import asyncio
import contextlib
import re
import time
import urllib.request

import pytest
import torch

from splitreason_cli.models.backend import BackendError, StreamRequest
from splitreason_cli.models.loading import load_model
from splitreason_cli.models.sampling import GREEDY
from splitreason_cli.models.vllm_http import CompletionsBackend
from splitreason_cli.records.data import Problem
from splitreason_cli.store.embedded import MINI_PROBLEMS
from splitreason_cli.store.jsonl import decode, read_lines
from tests.integration.conftest import NAMES, NEEDS_VLLM

pytestmark = NEEDS_VLLM


@pytest.fixture(scope="session")
def models():
    """By name, with transformers."""
    return {name: load_model(name) for name in NAMES}


@pytest.fixture(scope="session")
def prompts(models):
    problems = [decode(line, Problem.from_dict).problem for line in list(read_lines(MINI_PROBLEMS))[:6]]
    return [models["mini-split"].prompt_ids(problem, hint=True) for problem in problems]


@contextlib.asynccontextmanager
async def session_on(server):
    backend = CompletionsBackend([server.url], server.model, api_key=server.api_key)
    session = backend.session()
    try:
        await backend.warm_up()
        yield session
    finally:
        await session.aclose()
        await backend.aclose()


def metric(server, name):
    """The sum of one of vLLM's metrics over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(rf"^vllm:{name}\{{.*\}} (\S+)$", text, re.MULTILINE))


async def decoded(session, ids, max_tokens, **options):
    request = StreamRequest(max_tokens, GREEDY, **options)
    chunks = [chunk async for chunk in session.stream(ids, request)]
    return [token for chunk in chunks for token in chunk.ids], chunks


def greedy(loaded, ids, max_tokens, stop, forbid=()):
    """Token ids that transformers decodes, and their log-probabilities before `forbid`."""
    ids, out, logprobs = list(ids), [], []
    with torch.inference_mode():
        while len(out) < max_tokens and not (out and out[-1] in stop):
            row = loaded.model(torch.tensor([ids + out])).logits[0, -1]
            allowed = row.clone()
            allowed[list(forbid)] = -torch.inf
            out.append(int(allowed.argmax()))
            logprobs.append(float(row.log_softmax(-1)[out[-1]]))
    return out, logprobs


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_greedy_decoding_by_transformers_up_to_the_stop_token(servers, models, prompts, name):
    loaded = models[name]
    stop = loaded.token_ids.end_of_text | loaded.token_ids.tags

    async def run():
        async with session_on(servers[name]) as session:
            return await asyncio.gather(*(decoded(session, ids, 64, stop=stop, logprobs=True) for ids in prompts))

    for ids, (tokens, chunks) in zip(prompts, asyncio.run(run()), strict=True):
        expected, logprobs = greedy(loaded, ids, 64, stop)
        assert tokens == expected
        assert chunks[-1].finish_reason == ("stop" if expected[-1] in stop else "length")
        assert [x for chunk in chunks for x in chunk.logprobs] == pytest.approx(logprobs, abs=1e-2)


def test_the_opening_tag_is_delivered_as_a_stop_token_and_never_written_where_it_is_forbidden(servers, models, prompts):
    loaded = models["mini-split"]
    end, tags = loaded.token_ids.end_of_text, loaded.token_ids.tags

    async def run():
        async with session_on(servers["mini-split"]) as session:
            stopped = [await decoded(session, ids, 200, stop=end | tags) for ids in prompts]
            free = [await decoded(session, ids, 200, stop=end, forbid=tags) for ids in prompts]
            return [tokens for tokens, _ in stopped], [tokens for tokens, _ in free]

    stopped, free = asyncio.run(run())
    assert loaded.token_ids.open in {tokens[-1] for tokens in stopped}
    for ids, tokens in zip(prompts, free, strict=True):
        assert tags.isdisjoint(tokens)
        assert tokens == greedy(loaded, ids, 200, end, forbid=tags)[0]


def test_entropies_are_those_of_transformers_or_a_little_less(servers, models, prompts):
    loaded = models["mini-split"]

    async def run():
        async with session_on(servers["mini-split"]) as session:
            return await decoded(session, prompts[0], 64, stop=frozenset(), predictions=True)

    tokens, chunks = asyncio.run(run())
    found = [told.entropy for chunk in chunks for told in chunk.predictions]
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([[*prompts[0], *tokens]])).logits[0, len(prompts[0]) - 1 : -1]
    exact = torch.distributions.Categorical(logits=logits.float()).entropy().tolist()
    assert len(found) == len(exact) == 64
    assert found == pytest.approx(exact, abs=0.02)
    assert max(found) > 0.1


def test_next_token_agrees_with_transformers(servers, models, prompts):
    loaded = models["mini-split"]
    stop = loaded.token_ids.end_of_text | loaded.token_ids.tags
    openings = [[*ids, *greedy(loaded, ids, 200, stop)[0][:-1]] for ids in prompts]
    contexts = [ids[: len(ids) - cut] for ids in openings for cut in (0, 1, 5)]
    token = loaded.token_ids.open

    async def run():
        async with session_on(servers["mini-split"]) as session:
            return await session.next_token(contexts, token)

    answers = asyncio.run(run())
    with torch.inference_mode():
        rows = [loaded.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1) for ids in contexts]
    assert [answer.logprob for answer in answers] == pytest.approx([float(row[token]) for row in rows], abs=1e-2)
    assert [answer.is_argmax for answer in answers] == [int(row.argmax()) == token for row in rows]
    assert {answer.is_argmax for answer in answers} == {True, False}


def test_closing_a_stream_stops_the_generation(servers, prompts):
    server = servers["mini-big"]

    async def until(condition):
        give_up = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < give_up
            await asyncio.sleep(0.02)

    async def run():
        async with session_on(server) as session:
            before = metric(server, "generation_tokens_total")
            stream = session.stream(prompts[0], StreamRequest(1500, GREEDY, stop=frozenset()))
            await anext(stream)
            await until(lambda: metric(server, "num_requests_running") == 1)
            await stream.aclose()
            await until(lambda: metric(server, "num_requests_running") == 0)
            return metric(server, "generation_tokens_total") - before

    assert asyncio.run(run()) < 1500


def test_what_was_prefilled_is_found_in_the_prefix_cache(servers, prompts):
    server = servers["mini-big"]
    # A text that no other test sends: 320 tokens in ten blocks.
    ids = (prompts[1] * 20)[1:321]

    async def run():
        async with session_on(server) as session:
            cold = metric(server, "prefix_cache_hits_total")
            await session.prefill(ids)
            warm = metric(server, "prefix_cache_hits_total")
            await decoded(session, [*ids, *prompts[0]], 2, stop=frozenset())
            return warm - cold, metric(server, "prefix_cache_hits_total") - warm

    first, second = asyncio.run(run())
    assert (first, second) == (0, 320)


def test_a_request_that_vllm_refuses_is_told_in_its_words(servers):
    async def run():
        async with session_on(servers["mini-big"]) as session:
            with pytest.raises(BackendError, match="maximum context length"):
                await session.prefill([5] * 5000)
            with pytest.raises(BackendError, match="out of vocabulary"):
                await decoded(session, [10**6], 2, stop=frozenset())

    asyncio.run(run())


def test_a_server_wants_its_key(servers):
    async def run():
        backend = CompletionsBackend([servers["mini-big"].url], "mini-big")
        try:
            with pytest.raises(BackendError, match="HTTP 401"):
                await backend.check()
        finally:
            await backend.aclose()

    asyncio.run(run())


def test_the_key_is_not_in_the_log(servers):
    for server in servers.values():
        assert server.api_key not in server.log_path.read_text()
