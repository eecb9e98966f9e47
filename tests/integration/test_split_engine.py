"""The engine on two real vLLM servers: the same answers as in this process, and nothing left running."""

import asyncio
import itertools
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from splitreason_cli.decoding.pipelined import PipelineConfig
from splitreason_cli.models.backend import BackendPair
from splitreason_cli.models.connections import Timeouts
from splitreason_cli.models.in_process import InProcessBackend
from splitreason_cli.models.loading import load_pair
from splitreason_cli.models.pair import Pair
from splitreason_cli.models.text_http import TextBackend
from splitreason_cli.models.vllm_http import CompletionsBackend
from splitreason_cli.records.data import Message, Problem
from splitreason_cli.serving.breaker import Breaker
from splitreason_cli.serving.requests import GenerationRequest
from splitreason_cli.serving.split_engine import EngineConfig, SplitEngine
from splitreason_cli.store.embedded import MINI_PROBLEMS
from splitreason_cli.store.jsonl import decode, read_lines
from tests.integration.conftest import NEEDS_VLLM
from tests.integration.faulty_proxy import FaultyProxy

pytestmark = NEEDS_VLLM
CONFIG = EngineConfig("pair", max_tokens=200, context_tokens=2048)


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


def backend(server, url=None, kind=CompletionsBackend, **options):
    return kind([url or server.url], server.model, api_key=server.api_key, **options)


def on_vllm(servers, pair, big=None, **options):
    small_server, big_server = (servers[loaded.name] for loaded in pair)
    both = Pair.of(*pair, hint=True)
    backends = BackendPair(backend(small_server), big or backend(big_server))
    return SplitEngine(backends, both, CONFIG, **options)


def here(pair, thread):
    backends = BackendPair(*(InProcessBackend(loaded, thread) for loaded in pair))
    return SplitEngine(backends, Pair.of(*pair, hint=True), CONFIG)


def requests(count):
    lines = itertools.islice(read_lines(MINI_PROBLEMS), count)
    problems = [decode(line, Problem.from_dict).problem for line in lines]
    return [
        GenerationRequest(messages=(Message(role="user", content=problem),), temperature=0.0) for problem in problems
    ]


async def answer(engine, request):
    items = [item async for item in engine.generate(request)]
    usage = items[-1].usage
    return "".join(delta.text for delta in items[:-1]), usage.big_tokens, usage.spans


async def answers(engine, requests):
    try:
        return await asyncio.gather(*(answer(engine, request) for request in requests))
    finally:
        await engine.aclose()


def running(server):
    address = server.url.removesuffix("/v1") + "/metrics"
    with urllib.request.urlopen(urllib.request.Request(address)) as reply:
        counts = re.findall(r"^vllm:num_requests_running\S* (\S+)$", reply.read().decode(), re.MULTILINE)
    return sum(map(float, counts))


def test_vllm_servers_and_this_process_give_the_same_answers(servers, pair):
    with ThreadPoolExecutor(1) as thread:
        local = here(pair, thread)
        expected = [asyncio.run(answer(local, request)) for request in requests(8)]

    async def served():
        return await answers(on_vllm(servers, pair), requests(8))

    found = asyncio.run(served())
    assert found == expected
    assert sum(spans for _, _, spans in found) >= 4


def test_a_client_that_leaves_frees_both_servers(servers, pair):
    async def leave():
        served = on_vllm(servers, pair)
        try:
            async with aclosing(served.generate(requests(1)[0])) as items:
                async for _ in items:
                    break
        finally:
            await served.aclose()

    asyncio.run(leave())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(running(server) for server in servers.values()):
        time.sleep(0.05)
    assert not any(running(server) for server in servers.values())


def test_a_big_model_that_knows_text_only_writes_the_same(servers, pair):
    async def run():
        big = backend(servers["mini-big"], kind=TextBackend, tokenizer=pair[1].tokenizer)
        as_text = await answers(on_vllm(servers, pair, big), requests(4))
        return as_text, await answers(on_vllm(servers, pair), requests(4))

    as_text, as_ids = asyncio.run(run())
    assert [text for text, _, _ in as_text] == [text for text, _, _ in as_ids]
    assert sum(spans for _, _, spans in as_text) >= 2


@pytest.mark.parametrize("fault", FaultyProxy.FAULTS)
def test_the_small_model_goes_on_alone_and_the_big_one_is_asked_again_once_it_is_well(servers, pair, fault):
    """One request through the fault, one while the breaker is open, one after it has tried again."""
    now = [0.0]
    request = requests(1)[0]

    async def run():
        async with FaultyProxy(servers["mini-big"].url) as proxy:
            big = backend(servers["mini-big"], proxy.url, timeouts=Timeouts(first_token_seconds=2))
            breaker = Breaker(failures=1, rest_seconds=60, clock=lambda: now[0])
            pipeline = PipelineConfig(first_token_seconds=2, prefill_stride_tokens=10_000)
            served = on_vllm(servers, pair, big, breaker=breaker, pipeline=pipeline)
            try:
                proxy.fault = fault
                broken = [item async for item in served.generate(request)]
                proxy.fault = ""
                resting = [item async for item in served.generate(request)]
                now[0] += 61
                well = [item async for item in served.generate(request)]
            finally:
                await served.aclose()
        return broken, resting, well

    broken, resting, well = asyncio.run(run())
    assert broken[-1].degraded
    assert broken[-1].usage.completion_tokens > 20
    assert resting[-1].degraded
    assert resting[-1].usage.spans == 0
    assert not well[-1].degraded
    assert well[-1].usage.big_tokens > 0
