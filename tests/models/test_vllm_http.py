"""The client of vLLM servers against a scripted one, over real HTTP."""

import asyncio
import contextlib
import itertools
import math
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.errors import UsageError
from splitreason_cli.models.backend import BackendError, NextToken, StreamRequest
from splitreason_cli.models.connections import EventStream, Timeouts
from splitreason_cli.models.sampling import GREEDY, Sampling
from splitreason_cli.models.vllm_http import CompletionsBackend, base_url
from splitreason_cli.models.wire import StreamReader
from tests.scripted_endpoint import serving
from tests.scripted_vllm import DIE, HANG, ScriptedVllm, event

STOP = frozenset({90, 91})
FORBIDDEN = frozenset({80})


@contextlib.asynccontextmanager
async def backend(*urls, **options):
    opened = CompletionsBackend(urls, "mini", **options)
    try:
        yield opened
    finally:
        await opened.aclose()


async def collect(session, *, max_tokens=9, sampling=GREEDY, stop=STOP, forbid=FORBIDDEN, **wanted):
    chunks = []
    request = StreamRequest(max_tokens, sampling, stop, forbid, **wanted)
    async for chunk in session.stream([5, 6], request):
        chunks.append(chunk)
    return chunks


def stream_from(server, **options):
    """All chunks of one stream from a scripted server."""

    async def run():
        with serving(server) as url:
            async with backend(url) as opened:
                return await collect(opened.session(), **options)

    return asyncio.run(run())


def ids_of(chunks):
    return [token for chunk in chunks for token in chunk.ids]


async def until(condition):
    """Wait for something that another thread does."""
    give_up = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.005)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_events_with_several_tokens_and_with_none_are_counted_by_their_ids():
    chunks = stream_from(ScriptedVllm(steps=((), (1,), (), (2, 3, 4), (5,))))
    assert ids_of(chunks) == [1, 2, 3, 4, 5]
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish_reason == "length"
    assert all(chunk.ids for chunk in chunks)


def test_a_last_event_without_tokens_still_ends_the_stream():
    assert stream_from(ScriptedVllm(steps=((1,), ())))[-1].finish_reason == "length"


def test_the_stop_token_is_delivered_whatever_the_events_say_in_text():
    steps = (event((1,), text="<big"), event((90,), "stop", text="model>"))
    chunks = stream_from(ScriptedVllm(steps=steps))
    assert (ids_of(chunks), chunks[-1].finish_reason) == ([1, 90], "stop")


def test_a_stop_token_ends_the_stream_even_if_the_finish_reason_comes_later():
    chunks = stream_from(ScriptedVllm(steps=((1, 90), event((), "stop"))))
    assert (ids_of(chunks), chunks[-1].finish_reason) == ([1, 90], "stop")


def test_log_probabilities_come_with_their_tokens():
    steps = tuple(
        event((i,), r, logprobs={"token_logprobs": [-i / 2], "tokens": ["x"]}) for i, r in ((1, None), (2, "length"))
    )
    chunks = stream_from(ScriptedVllm(steps=steps), logprobs=True)
    assert [x for chunk in chunks for x in chunk.logprobs] == [-0.5, -1.0]


def test_predictions_come_from_the_likeliest_tokens():
    half, sure = {"token_id:1": math.log(0.5), "token_id:2": math.log(0.5)}, {"token_id:3": 0.0}
    server = ScriptedVllm(
        steps=(event((1, 3), "length", logprobs={"token_logprobs": [-0.7, 0], "top_logprobs": [half, sure]}),)
    )
    (chunk,) = stream_from(server, predictions=True)
    assert [told.entropy for told in chunk.predictions] == pytest.approx([math.log(2), 0])
    assert [told.top_logprobs for told in chunk.predictions] == [((1, math.log(0.5)), (2, math.log(0.5))), ((3, 0.0),)]
    assert chunk.logprobs is None
    assert server.bodies[0]["logprobs"] == 20


def test_a_request_says_all_that_decides_what_is_decoded():
    server = ScriptedVllm()
    stream_from(server, max_tokens=7, sampling=Sampling(0.5, 0.9), seed=3)
    assert server.bodies == [
        {
            "model": "mini",
            "prompt": [5, 6],
            "max_tokens": 7,
            "stream": True,
            "return_token_ids": True,
            "skip_special_tokens": False,
            "stop_token_ids": [90, 91],
            "include_stop_str_in_output": True,
            "ignore_eos": True,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "seed": 3,
            "logit_bias": {"80": -100},
        }
    ]


@pytest.mark.parametrize(
    ("step", "options", "complaint"),
    [
        (b"data: {nonsense\n\n", {}, "unreadable answer .*nonsense"),
        (b"data: \xff\xfe\n\n", {}, "unreadable answer"),
        (b'data: {"id": 1}\n\n', {}, "without choices"),
        (b'data: {"error": {"message": "the engine\\nis dead"}}\n\n', {}, "the engine is dead"),
        (b'data: {"error": "overloaded"}\n\n', {}, "overloaded"),
        (event((1,), token_ids=None), {}, "no token_ids"),
        (event((1,), token_ids=["one"]), {}, r"Expected `int`.*token_ids"),
        (event((1,)), {"logprobs": True}, "1 tokens came with 0 log-probabilities"),
        (event((1,)), {"predictions": True}, "1 tokens came with 0 sets of log-probabilities"),
        (event((1,), "abort"), {}, "finish_reason 'abort'"),
        (event((1, 2, 3)), {"max_tokens": 3}, "wrote 4 tokens, max_tokens is 3"),
        (event((1, 80)), {}, "forbidden token 80"),
        (event((1,), "stop"), {}, "without one of the stop tokens"),
        (event((90, 1)), {}, "went on after a stop token"),
        (b"data: [DONE]\n\n", {}, "ended without a finish_reason"),
        (DIE, {}, "the connection broke"),
    ],
)
def test_a_stream_that_is_not_what_was_asked_for_says_why(step, options, complaint):
    async def run():
        with serving(ScriptedVllm(steps=(event((7,), logprobs={"token_logprobs": [-1.0]}), step))) as url:
            async with backend(url) as opened:
                with pytest.raises(BackendError, match=f"{url}: .*{complaint}"):
                    await collect(opened.session(), **options)

    asyncio.run(run())


def test_a_stream_that_ends_without_finish_reason_or_broke_is_not_asked_for_again_and_its_server_is_avoided():
    async def run():
        dying, other = ScriptedVllm(steps=((1,), DIE)), ScriptedVllm()
        with serving(dying) as first, serving(other) as second:
            async with backend(first, second) as opened:
                with pytest.raises(BackendError):
                    await collect(opened.session())
                assert dying.streams == 1
                assert other.streams == 0
                assert [opened.session().url for _ in range(3)] == [second] * 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("steps", "limits"),
    [
        ((HANG,), Timeouts(first_token_seconds=0.25, between_tokens_seconds=60)),
        (((1,), HANG), Timeouts(first_token_seconds=60, between_tokens_seconds=0.25)),
    ],
)
def test_a_server_that_says_nothing_for_too_long_is_left(steps, limits):
    async def run():
        server = ScriptedVllm(steps=steps)
        with serving(server) as url:
            async with backend(url, timeouts=limits) as opened:
                with pytest.raises(BackendError, match=r"no token within 0\.25 s"):
                    await collect(opened.session())
                await until(lambda: server.streams == 1 and server.open_streams == 0)

    asyncio.run(run())


def test_closing_the_stream_makes_the_server_notice():
    async def run():
        server = ScriptedVllm(steps=((1,), HANG))
        with serving(server) as url:
            async with backend(url) as opened:
                stream = opened.session().stream([5], StreamRequest(9, GREEDY, STOP))
                assert (await anext(stream)).ids == (1,)
                assert server.open_streams == 1
                await stream.aclose()
                await until(lambda: server.open_streams == 0)

    asyncio.run(run())


@pytest.mark.parametrize("steps", [(HANG,), ((1,), HANG)])
def test_cancelling_the_task_that_reads_makes_the_server_notice(steps):
    async def run():
        server = ScriptedVllm(steps=steps)
        with serving(server) as url:
            async with backend(url) as opened:
                task = asyncio.create_task(collect(opened.session()))
                await until(lambda: server.open_streams == 1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await until(lambda: server.open_streams == 0)

    asyncio.run(run())


def test_a_finished_stream_leaves_its_connection_to_the_next_request():
    async def run():
        server = ScriptedVllm()
        with serving(server) as url:
            async with backend(url) as opened:
                session = opened.session()
                for _ in range(3):
                    await collect(session)
                    await session.prefill([1])
        return server.clients

    assert len(asyncio.run(run())) == 1


def test_prefill_sends_the_whole_prefix_for_one_token():
    async def run():
        server = ScriptedVllm()
        with serving(server) as url:
            async with backend(url) as opened:
                await opened.session().prefill((1, 2, 3))
        return server.bodies

    assert asyncio.run(run()) == [{"model": "mini", "prompt": [1, 2, 3], "max_tokens": 1, "temperature": 0.0}]


def logprob_answers(body):
    """Choices in any order, each with the argmax 40 and the token that was asked for."""
    token = body["logprob_token_ids"][0]
    choices = [
        {
            "index": i,
            "text": "",
            "logprobs": {
                "tokens": [f"token_id:{40 if len(ids) > 1 else token}"],
                "token_logprobs": [-0.1],
                "top_logprobs": [{"token_id:40": -0.1, f"token_id:{token}": -len(ids)}],
            },
        }
        for i, ids in enumerate(body["prompt"])
    ]
    return {"choices": choices[::-1]}


def ask_next(server, contexts, token=90):
    async def run():
        with serving(server) as url:
            async with backend(url) as opened:
                return await opened.session().next_token(contexts, token)

    return asyncio.run(run())


def test_next_token_asks_about_all_contexts_at_once_and_answers_in_their_order():
    server = ScriptedVllm(answers=logprob_answers)
    assert ask_next(server, [[1], [1, 2], [1, 2, 3]]) == [
        NextToken(-1, True),
        NextToken(-2, False),
        NextToken(-3, False),
    ]
    assert [body["prompt"] for body in server.bodies] == [[[1], [1, 2], [1, 2, 3]]]
    assert [body["logprob_token_ids"] for body in server.bodies] == [[90]]


def test_next_token_of_no_context_asks_nothing():
    server = ScriptedVllm()
    assert ask_next(server, []) == []
    assert server.bodies == []


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"choices": []}, "1 contexts were answered with 0 choices"),
        ({"choices": [{"index": 0}]}, "no log-probabilities"),
        ({"choices": [{"logprobs": {"tokens": ["token_id:4"], "top_logprobs": [{"token_id:4": -1}]}}]}, "token_id:90"),
        ([], "unreadable answer"),
    ],
)
def test_an_answer_without_the_log_probability_says_what_is_missing(answer, complaint):
    with pytest.raises(BackendError, match=complaint):
        ask_next(ScriptedVllm(answers=lambda body: answer), [[1]])


@pytest.mark.parametrize(
    "call",
    [
        lambda opened: opened.session().prefill([1]),
        lambda opened: opened.session().next_token([[1]], 90),
        lambda opened: opened.check(),
        lambda opened: collect(opened.session()),
    ],
    ids=["prefill", "next_token", "check", "stream before its first token"],
)
def test_one_broken_connection_is_overcome_and_a_second_is_an_error(call):
    async def run(resets):
        with serving(ScriptedVllm(answers=logprob_answers_or_text, resets=resets)) as url:
            async with backend(url) as opened:
                await call(opened)

    asyncio.run(run(1))
    with pytest.raises(BackendError, match="the connection broke"):
        asyncio.run(run(2))


def logprob_answers_or_text(body):
    return logprob_answers(body) if "logprob_token_ids" in body else {"choices": [{"index": 0, "text": "x"}]}


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_refusal_is_told_in_the_servers_words_without_the_key(status):
    async def run():
        server = ScriptedVllm(status=status, error="too long")
        with serving(server) as url:
            async with backend(url, api_key="geheim") as opened:
                for call in (opened.session().prefill([1]), collect(opened.session())):
                    with pytest.raises(BackendError) as refused:
                        await call
                    assert str(refused.value) == f"{url}: HTTP {status}: too long (Bearer [key])"
        assert server.keys == ["Bearer geheim"] * 2
        assert "geheim" not in repr(opened)

    asyncio.run(run())


def test_a_refusal_in_no_known_form_is_quoted():
    async def run():
        async def complete(request):
            from starlette.responses import PlainTextResponse

            return PlainTextResponse("<h1>Bad gateway</h1>", status_code=502)

        class Proxy:
            pass

        Proxy.complete = staticmethod(complete)
        with serving(Proxy) as url:
            async with backend(url) as opened:
                with pytest.raises(BackendError, match="HTTP 502: '<h1>Bad gateway</h1>'"):
                    await opened.session().prefill([1])

    asyncio.run(run())


def test_sessions_go_to_the_server_with_the_fewest_and_stay_there():
    async def run():
        one, two = ScriptedVllm(), ScriptedVllm()
        with serving(one) as first, serving(two) as second:
            async with backend(first, second) as opened:
                sessions = [opened.session() for _ in range(4)]
                assert [session.url for session in sessions] == [first, second] * 2
                await sessions[1].aclose()
                await sessions[1].aclose()
                assert opened.session().url == second
                for _ in range(3):
                    await sessions[0].prefill([1])
        assert (len(one.bodies), len(two.bodies)) == (3, 0)

    asyncio.run(run())


def test_a_session_moves_if_its_server_cannot_be_reached_and_the_others_count_it():
    async def run():
        server, nobody = ScriptedVllm(), f"http://127.0.0.1:{free_port()}/v1"
        with serving(server) as url:
            async with backend(nobody, url) as opened:
                session = opened.session()
                assert session.url == nobody
                assert ids_of(await collect(session)) == [1, 2, 3]
                assert session.url == url
                assert [one.sessions for one in opened.servers] == [0, 1]
                await session.aclose()
                assert [one.sessions for one in opened.servers] == [0, 0]

    asyncio.run(run())


def test_a_server_that_was_down_is_used_again_after_a_while():
    async def run():
        nobody = f"http://127.0.0.1:{free_port()}/v1"
        async with backend(nobody, nobody, down_seconds=0.0) as opened:
            opened.mark_down(opened.servers[0])
            session = opened.session()
            assert opened.servers[0].sessions == 1
            with pytest.raises(BackendError, match="cannot connect"):
                await session.prefill([1])

    asyncio.run(run())


def test_check_wants_one_server_that_serves_the_model():
    async def run():
        nobody = f"http://127.0.0.1:{free_port()}"
        with serving(ScriptedVllm()) as good, serving(ScriptedVllm(served=("other",))) as wrong:
            async with backend(nobody, good, wrong) as opened:
                await opened.check()
                assert [server.is_down for server in opened.servers] == [True, False, False]
            async with backend(wrong) as opened:
                with pytest.raises(BackendError, match="serves other, not mini"):
                    await opened.check()
            async with backend(nobody) as opened:
                with pytest.raises(BackendError, match="cannot connect"):
                    await opened.check()

    asyncio.run(run())


def test_warming_up_asks_every_server_for_log_probabilities():
    async def run():
        steps = (event((1,), "length", logprobs={"token_logprobs": [-1.0]}),)
        servers = [ScriptedVllm(steps=steps, answers=logprob_answers) for _ in range(2)]
        with serving(servers[0]) as first, serving(servers[1]) as second:
            async with backend(first, second) as opened:
                await opened.warm_up()
                assert [server.sessions for server in opened.servers] == [0, 0]
        assert [["logprobs" in body for body in server.bodies] for server in servers] == [[True, True]] * 2

    asyncio.run(run())


def test_a_server_that_writes_nothing_is_not_warm():
    async def run():
        server = ScriptedVllm(steps=((),), answers=logprob_answers)
        with serving(server) as url:
            async with backend(url) as opened:
                await opened.warm_up()

    with pytest.raises(BackendError, match="without a token"):
        asyncio.run(run())


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "http://user:geheim@host"])
def test_an_address_that_is_none_or_holds_a_password_is_refused(url):
    with pytest.raises(UsageError) as refused:
        CompletionsBackend([url], "mini")
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_an_address_may_end_as_it_likes(url):
    assert base_url(url) == "http://h:1/v1"


class Pieces:
    """The body of an answer, cut anywhere."""

    def __init__(self, body, cuts):
        bounds = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
        self.pieces = [body[a:b] for a, b in itertools.pairwise(bounds)]
        self.content = self

    async def readany(self):
        return self.pieces.pop(0) if self.pieces else b""


@given(
    st.lists(st.lists(st.integers(0, 79), max_size=4).map(tuple), min_size=1, max_size=8),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_tokens_do_not_depend_on_where_the_bytes_are_cut(groups, cuts, newline):
    body = b"".join(event(ids, "length" if n == len(groups) else None) for n, ids in enumerate(groups, 1))
    body = (b": ping\n\n" + body + b"data: [DONE]\n\n").replace(b"\n", newline)

    async def run():
        stream, reader = (
            EventStream(Pieces(body, cuts)),
            StreamReader(StreamRequest(99, GREEDY, STOP, FORBIDDEN)),
        )
        chunks = []
        while events := await stream.read():
            chunks.append(reader.read(events))
        return chunks

    chunks = asyncio.run(run())
    assert ids_of(chunks) == [token for ids in groups for token in ids]
    assert [chunk.finish_reason for chunk in chunks].count("length") == 1
