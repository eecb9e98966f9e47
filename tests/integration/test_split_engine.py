"""The engine on two real vLLM servers: the same answers as in this process, and nothing left running."""

import asyncio
import itertools
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from splitreason_cli.adapters.completions import CompletionsBackend
from splitreason_cli.adapters.embedded import MINI_PROBLEMS
from splitreason_cli.adapters.in_process import InProcessBackend
from splitreason_cli.adapters.jsonl import decode, read_lines
from splitreason_cli.adapters.models import load_pair
from splitreason_cli.adapters.split_engine import EngineConfig, SplitEngine
from splitreason_cli.core.records import Message, Problem
from splitreason_cli.core.serving import GenerationRequest
from tests.integration.conftest import NEEDS_VLLM

pytestmark = NEEDS_VLLM
CONFIG = EngineConfig("pair", max_tokens=200, context_tokens=2048)


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


def on_vllm(servers, pair):
    small, big = (
        CompletionsBackend([servers[loaded.name].url], loaded.name, api_key=servers[loaded.name].api_key)
        for loaded in pair
    )
    return SplitEngine(small, big, dict(zip(("small", "big"), pair, strict=True)), CONFIG)


def here(pair, thread):
    small, big = (InProcessBackend(loaded, thread) for loaded in pair)
    return SplitEngine(small, big, dict(zip(("small", "big"), pair, strict=True)), CONFIG)


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


def running(server):
    address = server.url.removesuffix("/v1") + "/metrics"
    with urllib.request.urlopen(urllib.request.Request(address)) as reply:
        counts = re.findall(r"^vllm:num_requests_running\S* (\S+)$", reply.read().decode(), re.MULTILINE)
    return sum(map(float, counts))


def test_vllm_servers_and_this_process_give_the_same_answers(servers, pair):
    async def every():
        served = on_vllm(servers, pair)
        try:
            return await asyncio.gather(*(answer(served, request) for request in requests(8)))
        finally:
            await served.aclose()

    with ThreadPoolExecutor(1) as thread:
        local = here(pair, thread)
        expected = [asyncio.run(answer(local, request)) for request in requests(8)]
    found = asyncio.run(every())
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
