import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from dataclasses import replace

import httpx
import openai
import pytest

from splitreason_cli.errors import UsageError
from splitreason_cli.records.data import Message
from splitreason_cli.serving.engine import EngineUnavailable
from splitreason_cli.serving.http_api import ServerConfig, create_app
from splitreason_cli.serving.requests import Delta, Finished, RequestError, TokenLogprob
from tests.scripted_endpoint import running
from tests.scripted_engine import ANSWER, USAGE, WAIT, ScriptedEngine

QUESTION = [{"role": "user", "content": "2 + 2?"}]
TOLD = (Delta("Two", "small", "reasoning"), Delta(" and", "big", "reasoning"))


@contextlib.contextmanager
def serving(engine=None, **config):
    """The URL of a server over `engine`."""
    with running(create_app(engine or ScriptedEngine(), ServerConfig(**config))) as url:
        yield url


@contextlib.contextmanager
def client(engine=None, key="any", **config):
    with serving(engine, **config) as url, openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as made:
        yield made


def chat(made, **arguments):
    return made.chat.completions.create(**{"model": "pair", "messages": QUESTION, **arguments})


def complete(made, **arguments):
    return made.completions.create(**{"model": "pair", "prompt": "2 + 2", **arguments})


def until(condition):
    """Poll; the suite's time-out ends what never comes."""
    while not condition():
        time.sleep(0.005)


def events(url, **body):
    """The data of all events of a chat stream, as they stand."""
    body = {"model": "pair", "messages": QUESTION, "stream": True, **body}
    response = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.endswith("\n\n")
    return [line.removeprefix("data: ") for line in response.text.split("\n\n")[:-1]]


def metric(url, name, **headers):
    """A line of /metrics, as a number; None where there is no such line."""
    for line in httpx.get(f"{url}/metrics", headers=headers).text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


# Chat


def test_a_chat_tells_reasoning_content_and_what_the_split_took():
    with client() as made:
        answer = chat(made)
    (choice,) = answer.choices
    assert choice.message.content == "It is 4 🙂"
    assert choice.message.reasoning_content == choice.message.reasoning == "Two and two make four."
    assert (choice.finish_reason, choice.degraded) == ("stop", None)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 10, 17)
    assert answer.usage.split == {
        "big_tokens": 4,
        "offload_share": 0.4,
        "spans": 2,
        "refused": 1,
        "overrun_tokens": 3,
        "control_tokens": 5,
        "hand_over_seconds": [0.02, 0.3],
    }


def test_a_streamed_chat_tells_who_wrote_each_piece():
    with client() as made:
        chunks = list(chat(made, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    pieces = [
        (choice.author, getattr(choice.delta, "reasoning_content", None), choice.delta.content)
        for chunk in chunks[1:-1]
        for choice in chunk.choices
    ]
    assert pieces == [
        ("small", "Two and two", None), ("big", " make four.", None), ("small", None, "It is "), ("big", None, "4 🙂")
    ]  # fmt: skip
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_last_in_a_stream_that_asks_for_it():
    with client() as made:
        chunks = list(chat(made, stream=True, stream_options={"include_usage": True}))
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 10)
    assert chunks[-1].usage.split["spans"] == 2


def test_the_async_client_streams_too():
    async def content(url):
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as made:
            stream = await chat(made, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    with serving() as url:
        assert asyncio.run(content(url)) == "It is 4 🙂"


def test_a_stream_ends_with_done_after_lines_of_json():
    with serving() as url:
        *chunks, done = events(url)
    assert done == "[DONE]"
    assert {json.loads(chunk)["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_what_the_client_asks_for_reaches_the_engine():
    engine = ScriptedEngine()
    parts = [{"type": "text", "text": "2 + "}, {"type": "text", "text": "2?"}]
    with client(engine) as made:
        chat(
            made,
            messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}],
            max_completion_tokens=50,
            temperature=0.6,
            top_p=0.95,
            seed=3,
            stop=["\n\n", "END"],
            logprobs=True,
            extra_body={"offload_budget": "5%", "policy": "relay(16)", "show_tags": True},
        )
    (request,) = engine.requests
    assert request.messages == (Message(role="system", content="Be brief."), Message(role="user", content="2 + 2?"))
    assert (request.prompt, request.max_tokens, request.temperature, request.top_p) == (None, 50, 0.6, 0.95)
    assert (request.seed, request.stop, request.logprobs) == (3, ("\n\n", "END"), True)
    assert (request.offload_budget, request.policy, request.show_tags) == (0.05, "relay(16)", True)


def test_a_degraded_answer_says_why():
    end = Finished("length", USAGE, degraded="the big model does not answer")
    engine = ScriptedEngine([(*TOLD, end)])
    with client(engine) as made:
        (choice,) = chat(made).choices
        *_, last = chat(made, stream=True)
    assert (choice.finish_reason, choice.degraded) == ("length", end.degraded)
    assert last.choices[0].degraded == end.degraded


# Completions


def test_a_completion_is_the_text_as_generated():
    engine = ScriptedEngine()
    with client(engine) as made:
        answer = complete(made, max_tokens=9)
        chunks = list(complete(made, stream=True))
    text = "Two and two make four.It is 4 🙂"
    assert answer.choices[0].text == text
    assert answer.usage.split["big_tokens"] == 4
    assert "".join(chunk.choices[0].text for chunk in chunks) == text
    assert [chunk.choices[0].author for chunk in chunks[:-1]] == ["small", "big", "small", "big"]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert (engine.requests[0].prompt, engine.requests[0].messages, engine.requests[0].max_tokens) == ("2 + 2", (), 9)


def test_log_probabilities_come_with_their_tokens():
    tokens = (TokenLogprob("4", -0.5), TokenLogprob(" 🙂", -1.5))
    engine = ScriptedEngine(
        [(Delta("4", "big", "content", tokens[:1]), Delta(" 🙂", "big", "content", tokens[1:]), ANSWER[-1])]
    )
    with client(engine) as made:
        whole = complete(made, logprobs=1).choices[0].logprobs
        chunks = [chunk.choices[0].logprobs for chunk in complete(made, logprobs=1, stream=True)]
        content = chat(made, logprobs=True).choices[0].logprobs.content
    assert (whole.tokens, whole.token_logprobs, whole.text_offset) == (["4", " 🙂"], [-0.5, -1.5], [0, 1])
    assert [(chunk.tokens, chunk.text_offset) for chunk in chunks if chunk] == [(["4"], [0]), ([" 🙂"], [1])]
    assert [(token.token, token.logprob, bytes(token.bytes).decode()) for token in content] == [
        ("4", -0.5, "4"),
        (" 🙂", -1.5, " 🙂"),
    ]


# Several choices


def test_two_choices_have_seeds_of_their_own_and_share_one_prompt():
    other = (Delta("five", "small", "content"), Finished("length", USAGE))
    engine = ScriptedEngine([ANSWER, other])
    with client(engine) as made:
        answer = chat(made, n=2, seed=10)
    assert [request.seed for request in engine.requests] == [10, 11]
    assert [(choice.index, choice.message.content) for choice in answer.choices] == [(0, "It is 4 🙂"), (1, "five")]
    assert [choice.finish_reason for choice in answer.choices] == ["stop", "length"]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 20)


def test_streams_of_two_choices_are_told_apart_by_index_and_do_not_wait_for_each_other():
    engine = ScriptedEngine([(WAIT, *ANSWER), (Delta("five", "small", "content"), Finished("stop", USAGE))])
    text = ["", ""]
    with client(engine) as made:
        for chunk in chat(made, n=2, stream=True):
            for choice in chunk.choices:
                text[choice.index] += choice.delta.content or ""
                if choice.finish_reason and choice.index == 1:
                    engine.release()
    assert text == ["It is 4 🙂", "five"]


# What is refused


@pytest.mark.parametrize(
    ("body", "status", "param", "what"),
    [
        ({"model": "gpt-4"}, 404, "model", "only 'pair'"),
        ({"model": None}, 400, "model", "expected str"),
        ({"messages": None}, 400, "messages", "expected array"),
        ({"messages": []}, 400, "messages", "length >= 1"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "messages", "messages[0].role 'tool'"),
        ({"messages": [{"role": "user"}]}, 400, "messages", "messages[0].content is missing"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages", "'image_url'"),
        ({"messages": [{"role": "user", "content": 5}]}, 400, "messages", "messages[0].content: expected"),
        ({"temperature": 3}, 400, "temperature", "<= 2.0"),
        ({"top_p": 0}, 400, "top_p", "> 0"),
        ({"n": 9}, 400, "n", "limit of 8"),
        ({"n": 0}, 400, "n", ">= 1"),
        ({"max_tokens": 101}, 400, "max_tokens", "limit of 100"),
        ({"max_completion_tokens": 101}, 400, "max_completion_tokens", "limit of 100"),
        ({"stop": ["a"] * 5}, 400, "stop", "limit of 4"),
        ({"stop": ""}, 400, "stop", "empty"),
        ({"stop": "a" * 1001}, 400, "stop", "limit of 1000 characters"),
        ({"stop": [1]}, 400, "stop", "stop[0]: expected str"),
        ({"offload_budget": 5}, 400, "offload_budget", "no share"),
        ({"offload_budget": True}, 400, "offload_budget", "got bool"),
        ({"policy": 1}, 400, "policy", "expected str"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", "with stream"),
        ({"tools": [{"type": "function"}]}, 400, "tools", "not supported"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format", "not supported"),
        ({"logit_bias": {"5": 1}}, 400, "logit_bias", "not supported"),
        ({"top_logprobs": 2}, 400, "top_logprobs", "not supported"),
        ({"presence_penalty": 0.1}, 400, "presence_penalty", "not supported"),
        ({"echo": True}, 400, "echo", "not supported"),
        ({"echo": 0}, 400, "echo", "not supported"),
    ],
)
def test_a_bad_chat_is_refused_by_the_name_of_its_field(body, status, param, what):
    engine = ScriptedEngine()
    with serving(engine, max_tokens_limit=100) as url:
        body = {"model": "pair", "messages": QUESTION, **body}
        response = httpx.post(f"{url}/v1/chat/completions", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (status, param, "invalid_request_error")
    assert what in error["message"]
    assert engine.requests == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": "x", "logprobs": 2}, "logprobs"),
        ({"prompt": "x", "best_of": 2}, "best_of"),
        ({"prompt": "x", "suffix": "y"}, "suffix"),
    ],
)
def test_a_bad_completion_is_refused_by_the_name_of_its_field(body, param):
    with serving() as url:
        response = httpx.post(f"{url}/v1/completions", json={"model": "pair", **body})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_fields_that_ask_for_nothing_are_no_reason_to_refuse():
    harmless = {
        "tools": None,
        "top_logprobs": 0,
        "presence_penalty": 0.0,
        "logit_bias": {},
        "response_format": {"type": "text"},
        "user": "u",
        "metadata": {"a": "b"},
        "store": False,
        "parallel_tool_calls": True,
        "never_heard_of": 1,
    }
    with client() as made:
        assert chat(made, extra_body=harmless).choices[0].message.content == "It is 4 🙂"
        assert complete(made, prompt=["2 + 2"], best_of=1, echo=False).choices[0].finish_reason == "stop"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"model": NaN}', b"[" * 100_000, b'"\\ud800"'])
def test_a_body_that_is_no_json_object_is_refused(data):
    with serving() as url:
        response = httpx.post(f"{url}/v1/chat/completions", content=data)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("the body is no JSON")


def test_the_openai_client_raises_what_it_raises_for_openai():
    with client() as made:
        with pytest.raises(openai.NotFoundError, match="only 'pair'"):
            chat(made, model="gpt-4")
        with pytest.raises(openai.BadRequestError) as caught:
            chat(made, tools=[{"type": "function", "function": {"name": "f"}}])
        assert caught.value.param == "tools"
        with pytest.raises(openai.NotFoundError):
            made.models.retrieve("gpt-4")
        assert [model.id for model in made.models.list()] == [made.models.retrieve("pair").id] == ["pair"]


def test_what_the_engine_cannot_do_is_the_client_s_error_even_in_a_stream():
    engine = ScriptedEngine([[RequestError("policy: 'x' is unknown", "policy", "unknown_policy")]])
    with client(engine) as made:
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError) as caught:
                chat(made, stream=stream)
            assert (caught.value.param, caught.value.code) == ("policy", "unknown_policy")


def test_paths_and_methods_that_do_not_exist_are_refused_in_the_same_format():
    with serving() as url:
        lost, wrong = httpx.get(f"{url}/v1/nothing"), httpx.get(f"{url}/v1/completions")
    assert (lost.status_code, wrong.status_code, wrong.headers["allow"]) == (404, 405, "POST")
    assert "/v1/nothing" in lost.json()["error"]["message"]


# Limits and keys


def test_max_tokens_has_a_default():
    engine = ScriptedEngine()
    with client(engine, max_tokens_limit=100, default_max_tokens=40) as made:
        chat(made)
        chat(made, max_tokens=100)
    assert [request.max_tokens for request in engine.requests] == [40, 100]


def test_a_body_that_is_too_long_is_refused_whether_its_length_was_declared_or_not():
    with serving(max_body_bytes=1000) as url:
        path = f"{url}/v1/chat/completions"
        declared = httpx.post(path, content=b" " * 1001)
        streamed = httpx.post(path, content=iter([b" " * 600] * 2))
    assert [declared.status_code, streamed.status_code] == [413, 413]
    assert "limit of 1000 bytes" in streamed.json()["error"]["message"]


def test_more_completions_than_fit_are_told_to_come_back():
    engine = ScriptedEngine([(TOLD[0], WAIT, *ANSWER)])
    with serving(engine, max_concurrency=2) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="x") as made:
        stream = chat(made, stream=True)
        next(iter(stream))
        assert metric(url, "srx_completions_in_flight") == 1
        body = {"model": "pair", "messages": QUESTION, "n": 2}
        refused = httpx.post(f"{url}/v1/chat/completions", json=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        engine.release()
        assert chat(made, n=2).choices[1].message.content == "It is 4 🙂"
        stream.close()


def test_only_the_health_check_is_open_to_who_has_no_key():
    with serving(api_key="secret") as url, openai.OpenAI(base_url=f"{url}/v1", api_key="secret") as made:
        assert chat(made).choices[0].finish_reason == "stop"
        assert httpx.get(f"{url}/health").status_code == 200
        for path in ("/v1/models", "/metrics", "/nothing"):
            assert httpx.get(url + path).status_code == 401
        for key in ("Bearer wrong", "Basic secret", "secret", "Bearer", "Bearer sécret"):
            refused = httpx.get(f"{url}/v1/models", headers={"authorization": key.encode()})
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        with pytest.raises(openai.AuthenticationError):
            chat(made.with_options(api_key="wrong"))


def test_a_key_is_not_shown_and_must_not_be_empty():
    assert "secret" not in repr(ServerConfig(api_key="secret"))
    with pytest.raises(UsageError):
        ServerConfig(api_key=" ")


# Clients that leave


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("n", [1, 3])
def test_a_client_that_leaves_frees_the_engine(stream, n):
    engine = ScriptedEngine([(*TOLD, WAIT)])
    body = json.dumps({"model": "pair", "messages": QUESTION, "stream": stream, "n": n}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with serving(engine) as url:
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as connection:
            connection.sendall(head + body)
            until(lambda: engine.running == n)
        until(lambda: engine.running == 0)
        path = '{endpoint="/v1/chat/completions",status="499"}'
        until(lambda: metric(url, f"srx_requests_total{path}") == 1)
        assert metric(url, "srx_completions_in_flight") == 0
        engine.release()
        assert httpx.get(f"{url}/health").status_code == 200


# Engines that fail


def test_an_engine_that_is_down_is_unavailable():
    engine = ScriptedEngine(down="the small model does not answer")
    with client(engine) as made:
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError, match="small model") as caught:
                chat(made, stream=stream)
            assert (caught.value.status_code, caught.value.code) == (503, "engine_unavailable")
            assert caught.value.response.headers["retry-after"] == "1"
        health = httpx.get(str(made.base_url.join("/health")))
        assert (health.status_code, health.json()["error"]["code"]) == (503, "engine_unavailable")
        engine.down = ""
        assert httpx.get(str(made.base_url.join("/health"))).json() == {"status": "ok"}
        assert chat(made).choices[0].finish_reason == "stop"


def test_an_engine_that_dies_in_the_middle_ends_the_stream_with_an_error():
    engine = ScriptedEngine([(*TOLD, EngineUnavailable("the small model is gone")), ANSWER])
    with serving(engine) as url:
        *chunks, last = events(url)
        assert len(chunks) == 3
        assert json.loads(last)["error"]["code"] == "engine_unavailable"
        engine.requests.clear()
        with openai.OpenAI(base_url=f"{url}/v1", api_key="x") as made, pytest.raises(openai.APIError, match="is gone"):
            list(chat(made, stream=True))
        assert chat(openai.OpenAI(base_url=f"{url}/v1", api_key="x")).choices[0].finish_reason == "stop"
        assert metric(url, 'srx_requests_total{endpoint="/v1/chat/completions",status="503"}') == 2
    assert engine.running == 0


def test_a_choice_that_fails_takes_the_others_along():
    engine = ScriptedEngine([(TOLD[0], WAIT), (EngineUnavailable("gone"),)])
    with client(engine) as made, pytest.raises(openai.InternalServerError):
        chat(made, n=2)
    assert engine.running == 0


@pytest.mark.parametrize("script", [(ValueError("private"),), TOLD, (*TOLD, ValueError("private"))])
def test_a_bug_in_the_engine_costs_one_request_and_is_logged(script, caplog):
    engine = ScriptedEngine([script, script, ANSWER])
    with client(engine) as made, caplog.at_level(logging.ERROR):
        with pytest.raises(openai.InternalServerError, match="its log says why") as caught:
            chat(made)
        assert "private" not in str(caught.value)
        with pytest.raises(openai.APIError, match="its log says why"):
            list(chat(made, stream=True))
        assert chat(made).choices[0].finish_reason == "stop"
    failures = [record for record in caplog.records if record.name.startswith("splitreason_cli")]
    assert len(failures) == 2
    assert all(record.exc_info for record in failures)


# Metrics


def test_metrics_add_up_what_was_served():
    degraded = Finished("stop", replace(USAGE, big_tokens=0), degraded="gone")
    engine = ScriptedEngine([ANSWER, (degraded,)])
    with serving(engine) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="x") as made:
        chat(made)
        list(complete(made, stream=True))
        with pytest.raises(openai.BadRequestError):
            chat(made, n=100)
        httpx.get(f"{url}/somewhere/else")
        seen = {
            name: metric(url, f"srx_{name}")
            for name in (
                'requests_total{endpoint="/v1/chat/completions",status="200"}',
                'requests_total{endpoint="/v1/completions",status="200"}',
                'requests_total{endpoint="/v1/chat/completions",status="400"}',
                'requests_total{endpoint="other",status="404"}',
                'tokens_total{author="small"}',
                'tokens_total{author="big"}',
                "prompt_tokens_total",
                "spans_total",
                "refused_hand_overs_total",
                "overrun_tokens_total",
                "control_tokens_total",
                "degraded_completions_total",
                "hand_over_seconds_count",
                "hand_over_seconds_sum",
                'hand_over_seconds_bucket{le="0.03"}',
                "completions_in_flight",
            )
        }
    assert list(seen.values()) == [1, 1, 1, 1, 16, 4, 14, 4, 2, 6, 10, 1, 4, 0.64, 2, 0]


def test_servers_count_apart():
    with serving() as one, serving() as other:
        httpx.get(f"{one}/health")
        assert metric(other, 'srx_requests_total{endpoint="/health",status="200"}') is None


def test_many_clients_at_once_are_all_served():
    engine = ScriptedEngine()
    with serving(engine) as url:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(events(url)[-1])) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == ["[DONE]"] * 20
    assert engine.running == 0


def test_a_server_that_ends_says_so_in_the_streams_it_breaks_off():
    """What uvicorn does when its grace period is over, which is to cancel the request's task."""
    body = json.dumps({"model": "pair", "messages": QUESTION, "stream": True}).encode()
    sent = []

    async def run():
        app = create_app(ScriptedEngine([(*TOLD, WAIT)]), ServerConfig())
        requests, half_way = [{"type": "http.request", "body": body, "more_body": False}], asyncio.Event()

        async def receive():
            if requests:
                return requests.pop()
            return await asyncio.Event().wait()

        async def send(message):
            sent.append(message.get("body", b""))
            if b"and" in sent[-1]:
                half_way.set()

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "raw_path": b"",
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
        }
        task = asyncio.create_task(app(scope, receive, send))
        await half_way.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), 30))
    assert b"the server is ending" in b"".join(sent)
