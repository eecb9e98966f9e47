"""The engine on the embedded pair in this process: what it serves is what the batch driver decodes."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from splitreason_cli.decoding.lockstep import LockstepDecoder
from splitreason_cli.decoding.pipelined import PipelineConfig
from splitreason_cli.decoding.rows import Request
from splitreason_cli.models.backend import BackendError, BackendPair
from splitreason_cli.models.in_process import InProcessBackend
from splitreason_cli.models.loading import load_pair, text_of
from splitreason_cli.models.pair import Pair
from splitreason_cli.records import markup
from splitreason_cli.records.data import Message, Problem
from splitreason_cli.serving.breaker import Breaker
from splitreason_cli.serving.engine import EngineUnavailable
from splitreason_cli.serving.requests import Delta, Finished, GenerationRequest, RequestError
from splitreason_cli.serving.split_engine import EngineConfig, SplitEngine
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import POLICIES, Always, Learned
from splitreason_cli.store.embedded import MINI_PROBLEMS
from splitreason_cli.store.jsonl import decode, read_lines
from tests.scripted import scripted
from tests.scripted_backend import ScriptedBackend

EXACT = PipelineConfig(probe_stride_tokens=1)


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


@pytest.fixture(scope="module")
def problems():
    lines = list(read_lines(MINI_PROBLEMS))[:8]
    return [decode(line, Problem.from_dict).problem for line in lines]


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as executor:
        yield executor


class Broken:
    """A backend whose every session fails while `down` is true."""

    def __init__(self, backend):
        self.backend, self.model, self.down, self.asked = backend, backend.model, True, 0
        self.has_logprobs = True

    def session(self):
        session = self.backend.session()
        stream = session.stream

        async def failing(ids, request):
            self.asked += 1
            if self.down:
                raise BackendError("out of order")
            async for chunk in stream(ids, request):
                yield chunk

        session.stream = failing
        return session

    async def check(self):
        if self.down:
            raise BackendError("out of order")

    async def aclose(self):
        pass


def engine(pair, thread, *, pipeline=EXACT, wrap=lambda author, backend: backend, breaker=None, **config):
    small, big = pair
    backends = BackendPair(wrap("small", InProcessBackend(small, thread)), wrap("big", InProcessBackend(big, thread)))
    config = EngineConfig("pair", max_tokens=200, context_tokens=2048, **config)
    return SplitEngine(backends, Pair.of(small, big, hint=True), config, pipeline, breaker=breaker)


def ask(problem, **changes):
    return GenerationRequest(messages=(Message(role="user", content=problem),), temperature=0.0, **changes)


def answers(served, *requests):
    async def one(request):
        items = [item async for item in served.generate(request)]
        return items[:-1], items[-1]

    async def every():
        return await asyncio.gather(*map(one, requests))

    return asyncio.run(asyncio.wait_for(every(), 120))


def text(deltas, author=None):
    return "".join(delta.text for delta in deltas if author in (None, delta.author))


@pytest.mark.parametrize("pipeline", [EXACT, PipelineConfig()], ids=["every token", "boundaries"])
def test_the_server_writes_what_the_batch_driver_writes(pair, thread, problems, pipeline):
    decoder = LockstepDecoder(Pair.of(*pair, hint=True), Limits(200))
    expected = decoder.decode([Request(problem, Learned()) for problem in problems])
    served = answers(engine(pair, thread, pipeline=pipeline), *map(ask, problems))
    assert sum(end.usage.spans for _, end in served) >= len(problems) / 2
    for controller, (deltas, end) in zip(expected, served, strict=True):
        thought = text(delta for delta in deltas if delta.channel == "reasoning")
        whole = text_of(pair[0], controller.completion)
        assert thought == whole.partition(markup.THINK_CLOSE)[0].strip("\n")
        assert (end.usage.big_tokens, end.usage.spans) == (controller.big_tokens, controller.hand_overs)
        assert end.usage.completion_tokens == len(controller.completion)
        assert end.reason == controller.finish_reason
        assert len(end.usage.hand_over_seconds) == end.usage.spans


def test_asking_at_boundaries_costs_few_small_tokens(pair, thread, problems):
    ends = [end for _, end in answers(engine(pair, thread, pipeline=PipelineConfig()), *map(ask, problems))]
    exact = [end for _, end in answers(engine(pair, thread), *map(ask, problems))]
    assert sum(end.usage.control_tokens for end in ends) < sum(end.usage.control_tokens for end in exact)


def test_tags_are_shown_on_request_and_balanced(pair, thread, problems):
    (deltas, end), (hidden, _) = answers(
        engine(pair, thread), ask(problems[0], show_tags=True), ask(problems[0], policy="learned")
    )
    plain, spans = markup.parse(text(deltas))
    assert plain == text(hidden)
    assert len(spans) == end.usage.spans
    assert "".join(plain[start:stop] for start, stop in spans) == text(hidden, "big")


def test_stop_texts_end_the_answer_and_free_the_models(pair, thread, problems):
    whole = text(answers(engine(pair, thread), ask(problems[0]))[0][0])
    stop = whole[20:24]
    ((deltas, end),) = answers(engine(pair, thread), ask(problems[0], stop=(stop,)))
    assert text(deltas) == whole[: whole.index(stop)]
    assert end.reason == "stop"


@pytest.mark.parametrize(
    "policy", ["never", "always", "random(20%, 4)", "relay(5, 10)", "learned(0.5)", "keyword(c)", "entropy(1)"]
)
def test_policies_are_chosen_by_name(pair, thread, problems, policy):
    ((deltas, end),) = answers(engine(pair, thread), ask(problems[0], policy=policy, seed=3))
    assert end.usage.completion_tokens > 20
    assert bool(text(deltas, "big")) == (policy != "never")
    if policy == "always":
        assert end.usage.offload_share == 1
    if policy == "relay(5, 10)":
        assert abs(end.usage.offload_share - 1 / 3) < 0.1


def test_a_policy_whose_factory_is_broken_ends_that_request_only(pair, thread, problems, caplog):
    def broken(context, arguments):
        raise KeyError("private")

    served = engine(pair, thread)
    served.policies = {**POLICIES, "mine": broken, "none": lambda context, arguments: None}
    for name in ("mine", "none"):
        with pytest.raises(RequestError, match=f"^policy '{name}' is broken on this server$"):
            answers(served, ask(problems[0], policy=name))
    assert "KeyError: 'private'" in caplog.text
    assert answers(served, ask(problems[0], policy="never"))


@pytest.mark.parametrize("policy", ["unheard", "random", "relay(1, 2, 3)", "learned(x)", "a b"])
def test_a_policy_that_does_not_exist_is_the_requests_fault(pair, thread, problems, policy):
    with pytest.raises(RequestError, match="policy"):
        answers(engine(pair, thread), ask(problems[0], policy=policy))


def test_a_requests_budget_caps_its_share(pair, thread, problems):
    ends = [end for _, end in answers(engine(pair, thread), *(ask(p, offload_budget=0.03) for p in problems))]
    free = [end for _, end in answers(engine(pair, thread), *map(ask, problems))]
    assert any(end.usage.offload_share > 0.05 for end in free)
    assert sum(end.usage.big_tokens for end in ends) < sum(end.usage.big_tokens for end in free)
    assert any(end.usage.refused for end in ends)


def test_the_traffic_keeps_the_servers_budget_once_lengths_are_known(pair, thread, problems):
    served = engine(pair, thread, offload_budget=0.1)
    usages = [answers(served, ask(problem))[0][1].usage for problem in problems]
    big, tokens = sum(u.big_tokens for u in usages), sum(u.completion_tokens for u in usages)
    assert usages[0].big_tokens > 0
    assert big / tokens <= 0.1 + 1 / tokens
    assert served.ledger.planned_tokens == served.ledger.reserved == 0


def test_a_dead_big_model_degrades_answers_rests_and_comes_back(pair, thread, problems):
    now = [0.0]
    broken = {}

    def wrap(author, backend):
        if author == "big":
            backend = broken["big"] = Broken(backend)
        return backend

    served = engine(pair, thread, wrap=wrap, breaker=Breaker(failures=2, rest_seconds=10, clock=lambda: now[0]))
    for _ in range(2):
        ((deltas, end),) = answers(served, ask(problems[0]))
        assert (end.degraded, end.usage.big_tokens) == ("out of order", 0)
        assert text(deltas)
    ((_, end),) = answers(served, ask(problems[0]))
    assert "left alone" in end.degraded
    assert broken["big"].asked == 2
    now[0], broken["big"].down = 20.0, False
    ((_, end),) = answers(served, ask(problems[0]))
    assert (end.degraded, end.usage.big_tokens > 0) == ("", True)


def test_a_dead_small_model_is_unavailability(pair, thread, problems):
    served = engine(pair, thread, wrap=lambda author, backend: Broken(backend) if author == "small" else backend)
    with pytest.raises(EngineUnavailable, match="out of order"):
        answers(served, ask(problems[0]))
    with pytest.raises(EngineUnavailable, match="out of order"):
        asyncio.run(served.check())


def test_plain_prompts_are_continued_as_they_stand(pair, thread):
    ((deltas, end),) = answers(
        engine(pair, thread), GenerationRequest(prompt="a) 482+7\n", temperature=0.0, max_tokens=12)
    )
    assert {delta.channel for delta in deltas} == {"content"}
    assert text(deltas)
    assert end.usage.completion_tokens <= 12


def test_a_prompt_that_does_not_fit_is_refused(pair, thread):
    with pytest.raises(RequestError) as caught:
        answers(engine(pair, thread), ask("7 " * 3000))
    assert caught.value.code == "context_length_exceeded"


def test_sampling_is_repeatable_by_seed_and_differs_without(pair, thread, problems):
    request = GenerationRequest(messages=(Message(role="user", content=problems[1]),), temperature=1.5, seed=5)
    first, again = (text(answers(engine(pair, thread), request)[0][0]) for _ in range(2))
    other = GenerationRequest(messages=request.messages, temperature=1.5, seed=6)
    assert first == again
    assert text(answers(engine(pair, thread), other)[0][0]) != first


def test_logprobs_cover_every_token(pair, thread, problems):
    ((deltas, end),) = answers(engine(pair, thread), ask(problems[0], logprobs=True))
    reported = [token for delta in deltas for token in delta.logprobs]
    assert len(reported) == end.usage.completion_tokens
    assert all(token.logprob <= 0 for token in reported)
    assert isinstance(deltas[0], Delta)
    assert isinstance(end, Finished)


def test_log_probabilities_of_a_pair_that_has_none_are_refused(pair, thread, problems):
    def silent(author, backend):
        backend.has_logprobs = author == "small"
        return backend

    with pytest.raises(RequestError, match="log-probabilities"):
        answers(engine(pair, thread, wrap=silent), ask(problems[0], logprobs=True))


def test_a_budget_that_has_room_for_the_spans_grants_them(pair, thread, problems):
    """How long spans and answers are is known from other requests, whatever budgets they had."""
    served = engine(pair, thread)
    ((_, free),) = answers(served, ask(problems[0]))
    assert free.usage.spans > 0
    ((_, capped),) = answers(served, ask(problems[0], offload_budget=2.5 * free.usage.offload_share))
    assert (capped.usage.spans, capped.usage.refused) == (free.usage.spans, 0)


def scripted_engine(pair, big=None, **config):
    """Of models that never end: the small one writes a and b, the big one x and y."""
    control = pair[0].token_ids
    models = {
        author: scripted(author, 0, 0, pair[0].tokenizer.encode(letters, add_special_tokens=False), control)
        for author, letters in (("small", "ab"), ("big", "xy"))
    }
    small, written = (ScriptedBackend(models[author], author) for author in ("small", "big"))
    config = EngineConfig("pair", policy="relay(48, 8)", max_tokens=400, offload_budget=0.5, **config)
    return SplitEngine(BackendPair(small, big or written), Pair.of(*pair, hint=True), config)


def is_at_rest(served):
    streams = served.backends.small.open_streams, served.backends.big.open_streams
    return (served.ledger.reserved, served.ledger.planned_tokens, *streams) == (0, 0, 0, 0)


async def leave(served, request):
    """Close the answer while the big model writes."""
    stream = served.generate(request)
    async for delta in stream:
        if delta.author == "big":
            assert served.ledger.reserved > 0
            return await stream.aclose()
    raise AssertionError("the big model never wrote")


def test_a_client_who_leaves_while_the_big_model_writes_leaves_nothing_reserved(pair):
    served = scripted_engine(pair)
    for _ in range(3):
        asyncio.run(leave(served, ask("7")))
        assert is_at_rest(served)


def test_a_client_who_runs_out_of_time_leaves_nothing_reserved(pair):
    served = scripted_engine(pair)

    async def run_out_of_time():
        async def collect():
            with contextlib.ExitStack() as stack:
                # Also where it fails before: then nothing waits for it.
                stack.callback(began.set)
                async for delta in served.generate(ask("7")):
                    if delta.author == "big":
                        began.set()

        began = asyncio.Event()
        task = asyncio.create_task(collect())
        await began.wait()
        assert served.ledger.reserved > 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert is_at_rest(served)

    asyncio.run(run_out_of_time())


def test_a_stop_text_of_the_big_model_leaves_nothing_reserved(pair):
    served = scripted_engine(pair)
    for stop in ("x", "y", "xy", "yx"):
        ((deltas, end),) = answers(served, ask("7", stop=(stop,)))
        assert end.usage.spans > 0
        assert end.reason == "stop"
        assert stop not in text(deltas)
        assert is_at_rest(served)


class Refusing(ScriptedBackend):
    def session(self):
        raise BackendError("no more sessions")


def test_a_request_that_fails_before_it_begins_leaves_nothing_planned(pair):
    served = scripted_engine(pair, big=Refusing(None, 0))
    with pytest.raises(BackendError, match="no more sessions"):
        answers(served, ask("7"))
    assert is_at_rest(served)


def test_a_policy_that_breaks_leaves_nothing_reserved(pair):
    class Breaking(Always):
        def closes(self, span):
            raise ZeroDivisionError

    served = scripted_engine(pair)
    served.policies = {"relay": lambda context, arguments: Breaking()}
    with pytest.raises(ZeroDivisionError):
        answers(served, ask("7"))
    assert is_at_rest(served)
