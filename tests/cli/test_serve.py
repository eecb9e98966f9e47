"""srx serve without arguments, asked by the official client, by srx chat, and stopped."""

import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import openai
import pytest

from splitreason_cli.records.data import Problem
from splitreason_cli.store.embedded import MINI_PROBLEMS
from splitreason_cli.store.jsonl import decode, read_lines
from tests.cli.conftest import environment
from tests.installed import install

PROBLEM = decode(next(read_lines(MINI_PROBLEMS)), Problem.from_dict).problem


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(folder, *arguments, **variables):
    port = free_port()
    command = [sys.executable, "-m", "splitreason_cli", "serve", "--port", str(port), *arguments]
    process = subprocess.Popen(
        command, cwd=folder, env={**environment(folder), **variables}, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health", timeout=60).raise_for_status()
            return process, f"http://127.0.0.1:{port}/v1"
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(process.communicate(timeout=10)[1].decode())


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    process, url = start(tmp_path_factory.mktemp("serve"), "--offload-budget", "50%")
    yield url
    process.send_signal(signal.SIGTERM)
    stderr = process.communicate(timeout=400)[1].decode()
    assert process.returncode in (0, 130)
    assert "Traceback" not in stderr
    assert re.search(r"INFO \d+ tokens in [\d.]+ s, \d+ of the big model \([\d.]+%\) in \d+ spans?,", stderr)


def ask(url, **changes):
    client = openai.OpenAI(base_url=url, api_key="EMPTY", max_retries=0)
    return client.chat.completions.create(
        model="mini-split", messages=[{"role": "user", "content": PROBLEM}], temperature=0, **changes
    )


def test_the_official_client_gets_reasoning_answer_and_what_the_big_model_wrote(served):
    answer = ask(served)
    message, split = answer.choices[0].message, answer.usage.split
    assert message.reasoning_content.startswith("a) ")
    assert message.content.startswith("\\boxed{")
    assert split["spans"] >= 1
    assert split["big_tokens"] == round(split["offload_share"] * answer.usage.completion_tokens)
    assert len(split["hand_over_seconds"]) == split["spans"]


def test_a_stream_says_the_same_and_who_wrote_it(served):
    whole = ask(served)
    chunks = list(ask(served, stream=True, stream_options={"include_usage": True}))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    thought = "".join(getattr(choice.delta, "reasoning_content", None) or "" for choice in choices)
    assert thought == whole.choices[0].message.reasoning_content
    assert {choice.author for choice in choices if getattr(choice.delta, "reasoning_content", None)} == {"small", "big"}
    assert chunks[-1].usage.split["big_tokens"] == whole.usage.split["big_tokens"]


def test_a_request_can_forbid_hand_overs_and_is_told_what_is_wrong_with_it(served):
    assert ask(served, extra_body={"policy": "never"}).usage.split["big_tokens"] == 0
    with pytest.raises(openai.BadRequestError, match="unknown policy"):
        ask(served, extra_body={"policy": "unheard"})
    with pytest.raises(openai.NotFoundError):
        openai.OpenAI(base_url=served, api_key="x", max_retries=0).chat.completions.create(
            model="other", messages=[{"role": "user", "content": "1"}]
        )


def test_chat_shows_the_spans_as_they_stream(served, srx):
    done = srx("chat", "--base-url", served, PROBLEM)
    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert text.count("⟦") == text.count("⟧") >= 1
    assert text.replace("⟦", "").replace("⟧", "").startswith("a) ")
    assert "by the big model" in done.stderr.decode()


def test_metrics_count_who_wrote(served):
    ask(served)
    text = httpx.get(served.removesuffix("/v1") + "/metrics").text
    counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(counted['srx_tokens_total{author="big"}']) > 0
    assert float(counted["srx_spans_total"]) > 0


def test_a_key_is_asked_for_and_ctrl_c_ends_the_server(tmp_path):
    process, url = start(tmp_path, "--api-key-env", "MY_KEY", MY_KEY="sk-very-secret")
    try:
        assert httpx.get(f"{url}/models").status_code == 401
        assert httpx.get(f"{url}/models", headers={"Authorization": "Bearer sk-very-secret"}).status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=400)
    assert process.returncode in (0, 130)
    assert b"secret" not in stdout + stderr
    assert b"Traceback" not in stderr


def test_chat_without_a_server_is_one_line(srx):
    done = srx("chat", "--base-url", f"http://127.0.0.1:{free_port()}/v1", "1+1")
    assert done.returncode == 7
    assert b"Is srx serve running there?" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_port_in_use_is_one_line(srx):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        done = srx("serve", "--port", listener.getsockname()[1])
    assert done.returncode == 5, done.stderr
    assert b"cannot be opened" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "foo"], "unknown policy 'foo'. Known are learned,"),
        (["--policy", "relay(x)"], "policy 'relay(x)':"),
        (["--small-args", "--x 'y", "--runtime", "vllm"], "--small-args:"),
        (["--big-text"], "mini-big is no URL"),
        (["--big", "http://127.0.0.1:9", "--big-text"], "Give --big-tokenizer"),
        (["--small", "http://127.0.0.1:9,foo"], "not all of these are URLs"),
        (["--small", " "], "the name of a model is empty"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_loads(srx, arguments, message):
    done = srx("serve", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.decode()
    assert b"loading" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_policy_of_a_broken_package_is_told_at_the_start_and_unknown_to_clients(tmp_path):
    source = "raise OSError('private')"
    install(tmp_path, "srx_broken", source, {"broken": "srx_broken:make"}, "srx.policies")
    process, url = start(tmp_path, PYTHONPATH=str(tmp_path))
    try:
        with pytest.raises(openai.BadRequestError, match="unknown policy 'broken'") as caught:
            ask(url, extra_body={"policy": "broken"})
        assert "private" not in str(caught.value)
        assert ask(url, extra_body={"policy": "never"}).choices[0].message.content
    finally:
        process.send_signal(signal.SIGTERM)
        stderr = process.communicate(timeout=400)[1].decode()
    assert stderr.count("without a policy: policy 'broken' of the package srx_broken-package cannot be loaded") == 1
    assert "Traceback" not in stderr


def test_chat_blames_the_server_only_where_it_does_not_answer(served, srx):
    done = srx("chat", "--base-url", served, "--policy", "foo", "1")
    assert done.returncode == 7
    assert b"unknown policy" in done.stderr
    assert b"running there" not in done.stderr
    assert b"ends in /v1" in srx("chat", "--base-url", served.removesuffix("/v1"), "1").stderr
    assert srx("chat", "--base-url", served, "--offload-budget", "7", "1").returncode == 2
