"""The commands over two real vLLM servers, as their users call them."""

import shutil
import signal
import subprocess

import httpx
import openai
import pytest

from splitreason_cli.models.sides import Side
from splitreason_cli.timing.measure import MODES, LatencyConfig, bench_latency
from splitreason_cli.timing.workload import Workload
from tests.cli.test_serve import PROBLEM, start
from tests.integration.conftest import NEEDS_VLLM

pytestmark = NEEDS_VLLM


@pytest.fixture(scope="module")
def served(servers, tmp_path_factory):
    """The address of `srx serve` before both servers."""
    small, big = servers["mini-split"], servers["mini-big"]
    process, url = start(
        tmp_path_factory.mktemp("serve"),
        *("--small", small.url, "--small-key-env", "SMALL_KEY", "--small-tokenizer", "mini-split"),
        *("--big", big.url, "--big-key-env", "BIG_KEY", "--big-tokenizer", "mini-big"),
        *("--served-model-name", "pair", "--offload-budget", "50%", "--max-tokens", "400"),
        SMALL_KEY=small.api_key,
        BIG_KEY=big.api_key,
    )
    yield url
    process.send_signal(signal.SIGTERM)
    assert b"Traceback" not in process.communicate(timeout=60)[1]


def test_the_official_client_gets_whole_and_streamed_answers(served):
    client = openai.OpenAI(base_url=served, api_key="EMPTY", max_retries=0)
    question = {"model": "pair", "messages": [{"role": "user", "content": PROBLEM}], "temperature": 0}
    whole = client.chat.completions.create(**question, logprobs=True)
    chunks = list(client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True}))
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert whole.usage.split["spans"] >= 1
    assert "".join(delta.reasoning_content or "" for delta in deltas if hasattr(delta, "reasoning_content")) == (
        whole.choices[0].message.reasoning_content
    )
    assert chunks[-1].usage.split["big_tokens"] == whole.usage.split["big_tokens"] > 0
    assert len(whole.choices[0].logprobs.content) > 0


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl_gets_an_answer(served):
    body = '{"model": "pair", "prompt": "482+7", "max_tokens": 8}'
    done = subprocess.run(
        ["curl", "-s", f"{served}/completions", "-H", "Content-Type: application/json", "-d", body],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b'"completion_tokens":8' in done.stdout


def test_uncertain_tokens_are_handed_over_by_entropy(served):
    body = {"model": "pair", "prompt": "482+7", "max_tokens": 64, "temperature": 0, "policy": "entropy(0.05, 4)"}
    usage = httpx.post(f"{served}/completions", json=body, timeout=60).json()["usage"]
    assert usage["split"]["spans"] >= 1


def test_every_mode_of_the_latency_benchmark_writes_its_tokens(servers, monkeypatch):
    monkeypatch.setenv("SMALL_KEY", servers["mini-split"].api_key)
    monkeypatch.setenv("BIG_KEY", servers["mini-big"].api_key)
    config = LatencyConfig(
        Side(servers["mini-split"].url, "mini-split", "SMALL_KEY"),
        Side(servers["mini-big"].url, "mini-big", "BIG_KEY"),
        Workload(tokens=240, share=0.2, spans=2),
        rounds=1,
        prefix_tokens=300,
    )
    results = {result.mode: result for result in bench_latency(config)}
    assert list(results) == list(MODES)
    assert results["pipelined"].big_tokens == results["serial"].big_tokens == 48
    assert results["pipelined"].control_tokens <= 48 / 4
    assert results["serial"].control_tokens == 48 * 6
    assert results["pipelined"].predicted_seconds > 0
