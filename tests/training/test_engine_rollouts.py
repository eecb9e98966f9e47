"""Rollouts of a policy that an engine runs: the same ones, closed as often as the policy would, alike on all ranks."""

import itertools
import math
import threading
from collections import Counter

import pytest
import torch
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from splitreason_cli.decoding.remote import RemoteConfig, connect_remote
from splitreason_cli.errors import EndpointError, MachineError, ModelError, SrxError, UsageError
from splitreason_cli.models.loading import load_pair
from splitreason_cli.models.sides import Side
from splitreason_cli.records.data import Problem
from splitreason_cli.split.decisions import Role, roles
from splitreason_cli.split.limits import Limits
from splitreason_cli.store.embedded import MINI_PROBLEMS
from splitreason_cli.store.jsonl import decode, read_lines
from splitreason_cli.training import ranks
from splitreason_cli.training.policy_engine import PolicyEngine, PolicyEngineConfig, checked_engine
from splitreason_cli.training.solo import SoloDecoder
from tests.fake_generation import FakeGeneration
from tests.rollout_decoders import by_engine, lockstep
from tests.scripted_endpoint import running, serving
from tests.served_model import ServedModel

COUNT = 3
LIMITS = Limits(100, max_span_tokens=12)
NEARLY_GREEDY = 0.01
TEMPERATURE = 0.7
PROBLEMS = [decode(line, Problem.from_dict).problem for line in itertools.islice(read_lines(MINI_PROBLEMS), COUNT)]
SEEDS = [f"s{number}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


def engine_of(small, context_tokens=None, *, shared=False):
    return PolicyEngine(FakeGeneration(small.model), context_tokens, shared=shared)


def without_logprobs(rollout):
    return {**vars(rollout), "logprobs": ()}


@pytest.fixture(scope="module")
def expected(pair):
    return lockstep(*pair, LIMITS, NEARLY_GREEDY).rollouts(PROBLEMS, SEEDS)


@pytest.mark.parametrize("chunk", [2, 16])
def test_an_engine_makes_the_rollouts_that_are_made_token_by_token(pair, expected, chunk):
    decoder = by_engine(*pair, LIMITS, NEARLY_GREEDY, engine=engine_of(pair[0]), chunk_tokens=chunk)
    found = decoder.rollouts(PROBLEMS, SEEDS)
    assert [without_logprobs(one) for one in found] == [without_logprobs(one) for one in expected]
    assert sum(one.closed_spans for one in found) >= COUNT


@pytest.mark.parametrize("sample_closing", [True, False])
def test_limits_cut_a_chunk_where_they_cut_tokens(pair, expected, sample_closing):
    """A span is cut by its own limit, and the text by its, inside the last span."""
    before = sum(len(ids) for _, ids in expected[0].segments[:3])
    limits = Limits(before + 1, max_span_tokens=2)
    plain = lockstep(*pair, limits, NEARLY_GREEDY, sample_closing=sample_closing)
    chunked = by_engine(*pair, limits, NEARLY_GREEDY, engine=engine_of(pair[0]), sample_closing=sample_closing)
    one, two = (decoder.rollouts(PROBLEMS, SEEDS) for decoder in (plain, chunked))
    assert [without_logprobs(each) for each in two] == [without_logprobs(each) for each in one]
    assert any(each.cut_spans for each in two)


def test_the_big_model_may_be_behind_a_server(pair, expected):
    quick = RemoteConfig(stream_tokens=5, retries=1, retry_seconds=0.0)
    with serving(ServedModel(pair[1])) as url, connect_remote(Side(url), quick) as big:
        decoder = by_engine(pair[0], big, LIMITS, NEARLY_GREEDY, engine=engine_of(pair[0]), chunk_tokens=2)
        found = decoder.rollouts(PROBLEMS, SEEDS)
    assert [without_logprobs(one) for one in found] == [without_logprobs(one) for one in expected]


def test_a_row_that_the_server_fails_holds_no_decision_and_leaves_the_others_alone(pair, expected):
    victim = next(number for number, one in enumerate(expected) if one.spans)
    prompt = pair[1].prompt_ids(PROBLEMS[victim], hint=False)
    server = ServedModel(pair[1], lambda body: "refused" if body["prompt"][: len(prompt)] == prompt else "")
    with serving(server) as url, connect_remote(Side(url), RemoteConfig(retries=1, retry_seconds=0.0)) as big:
        decoder = by_engine(pair[0], big, LIMITS, NEARLY_GREEDY, engine=engine_of(pair[0]))
        found = decoder.rollouts(PROBLEMS, SEEDS)
    assert [bool(one.failed) for one in found] == [number == victim for number in range(COUNT)]
    assert not any(found[victim].decided)
    others = [number for number in range(COUNT) if number != victim]
    assert [found[n].completion_ids for n in others] == [expected[n].completion_ids for n in others]


class Careless(FakeGeneration):
    """A policy that reads nothing: it opens with a chance of 0.5, closes with 0.2, else it writes another token."""

    def __init__(self, small):
        super().__init__(small.model)
        self.chances = torch.full((len(small.tokenizer),), 1e-9)
        self.chances[[small.token_ids.open, small.token_ids.close, 17]] = torch.tensor([0.5, 0.2, 0.3])

    def generate(self, prompts, images, num_generations, profiler=None):
        return prompts, [self._write() for _ in prompts], None, None

    def _write(self):
        ids = []
        while not ids or not self._ended(ids):
            ids += self._draw(self.chances.log()[None] * TEMPERATURE)
        return ids


def test_spans_open_and_close_as_often_as_the_policy_would(pair):
    """Whatever the chunks, each choice is a draw of its own, so that a share of n is off by sqrt(p (1 - p) / n)."""
    engine, tags = PolicyEngine(Careless(pair[0]), shared=False), pair[0].token_ids
    decoder = by_engine(*pair, Limits(60), TEMPERATURE, engine=engine, chunk_tokens=7)
    chosen = Counter()
    for rollout in decoder.rollouts(PROBLEMS * 8, SEEDS * 8):
        found = roles(rollout.completion_ids, tags.open, tags.close)
        for role, token, decided in zip(found, rollout.completion_ids, rollout.decided, strict=True):
            assert decided == (role is not Role.OTHER)
            chosen[role, token == tags.open] += 1
    opened, wrote = chosen[Role.FREE, True], chosen[Role.FREE, False]
    closed, went_on = chosen[Role.CLOSE, False], chosen[Role.GO_ON, False]
    for yes, no, chance in [(opened, wrote, 0.5 / 0.8), (closed, went_on, 0.2)]:
        count = yes + no
        assert count > 300
        assert abs(yes / count - chance) < 3 * math.sqrt(chance * (1 - chance) / count)


def test_solo_rollouts_are_one_call(pair):
    expected = SoloDecoder(pair[0], 100, NEARLY_GREEDY, hint=True).rollouts(PROBLEMS, SEEDS)
    generation = FakeGeneration(pair[0].model)
    engine = PolicyEngine(generation, shared=False)
    found = SoloDecoder(pair[0], 100, NEARLY_GREEDY, engine=engine, hint=True).rollouts(PROBLEMS, SEEDS)
    assert found == expected
    assert generation.calls == [(COUNT, 100)]


def test_sampling_settings_are_as_before_after_a_call(pair):
    generation = FakeGeneration(pair[0].model, temperature=0.7, generation_kwargs={"seed": 3})
    prompt = pair[0].prompt_ids("1", hint=False)
    PolicyEngine(generation, shared=False).generate([prompt], 3, 0.0, stop={7}, forbid={8})
    assert (generation.temperature, generation.max_completion_length, generation.logprobs) == (0.7, 16, 0)
    assert generation.generation_kwargs == {"seed": 3}


def test_no_call_asks_for_more_than_the_engine_reads(pair):
    prompt = pair[0].prompt_ids("1", hint=False)
    generation = FakeGeneration(pair[0].model)
    engine = PolicyEngine(generation, len(prompt) + 5, shared=False)
    engine.generate([prompt, prompt[:-2]], 50, 1.0)
    assert generation.calls == [(2, 5)]
    with pytest.raises(ModelError, match="reads"):
        engine.generate([prompt + prompt], 50, 1.0)


def test_an_engine_that_writes_nothing_is_an_error(pair):
    generation = FakeGeneration(pair[0].model)
    generation.generate = lambda prompts, images, num_generations: (prompts, [[] for _ in prompts], None, None)
    decoder = by_engine(*pair, LIMITS, NEARLY_GREEDY, engine=PolicyEngine(generation, shared=False))
    with pytest.raises(ModelError, match="no token"):
        decoder.rollouts(PROBLEMS, SEEDS)


class Ranks:
    """Two threads as the ranks of a run, gathering by a barrier."""

    def __init__(self, monkeypatch):
        self.own, self.meet, self.values = threading.local(), threading.Barrier(2, timeout=60), [[], []]
        for name, stand_in in {"rank": lambda: self.own.rank, "world_size": lambda: 2, "gather": self.gather}.items():
            monkeypatch.setattr(ranks, name, stand_in)

    def gather(self, values):
        self.values[self.own.rank] = list(values)
        self.meet.wait()
        everyone = [value for one in self.values for value in one]
        self.meet.wait()
        return everyone

    def run(self, *works):
        found, errors = [None, None], []

        def one(rank):
            self.own.rank = rank
            try:
                found[rank] = works[rank]()
            except (SrxError, AssertionError, threading.BrokenBarrierError) as error:
                errors.append(error)
                self.meet.abort()

        threads = [threading.Thread(target=one, args=(rank,)) for rank in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return found


def test_ranks_that_share_an_engine_call_it_alike_and_get_their_own_rollouts(pair, expected, monkeypatch):
    generations = [FakeGeneration(pair[0].model) for _ in range(2)]
    shares = [slice(0, 1), slice(1, COUNT)]

    def work(rank):
        engine = PolicyEngine(generations[rank], shared=True)
        decoder = by_engine(*pair, LIMITS, NEARLY_GREEDY, engine=engine, chunk_tokens=2)
        return decoder.rollouts(PROBLEMS[shares[rank]], SEEDS[shares[rank]])

    found = Ranks(monkeypatch).run(lambda: work(0), lambda: work(1))
    assert generations[0].calls == generations[1].calls
    assert [one.completion_ids for one in found[0] + found[1]] == [one.completion_ids for one in expected]


def test_a_machine_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr("splitreason_cli.training.policy_engine.default_device", lambda: "cpu")
    with pytest.raises(UsageError, match="--use-vllm needs a GPU"):
        checked_engine(PolicyEngineConfig())


def test_a_missing_vllm_is_one_line(monkeypatch):
    monkeypatch.setattr("splitreason_cli.training.policy_engine.default_device", lambda: "cuda")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MachineError, match=r"vLLM is not installed\. Install it: pip install 'splitreason-cli\[vllm\]'"
    ):
        checked_engine(PolicyEngineConfig())


def test_a_server_says_how_much_it_reads_and_which_vllm_it_is(monkeypatch):
    answers = {
        "/v1/models": {"data": [{"id": "policy", "max_model_len": 640}]},
        "/server_info": {"vllm_config": {"weight_transfer_config": {"backend": "nccl"}}},
        "/version": {"version": "7.1"},
    }
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("splitreason_cli.training.policy_engine.default_device", lambda: "cuda")
    routes = [Route(path, lambda request: JSONResponse(answers[request.url.path])) for path in answers]
    with running(Starlette(routes=routes)) as url:
        found = checked_engine(PolicyEngineConfig("server", f"{url}/v1"))
    assert found == PolicyEngineConfig("server", url, context_tokens=640, version="7.1")


@pytest.mark.parametrize("is_up", [True, False])
def test_a_server_that_is_not_there_or_takes_no_weights_is_one_line(pair, monkeypatch, is_up):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("splitreason_cli.training.policy_engine.default_device", lambda: "cuda")
    with serving(ServedModel(pair[1])) as url:
        if is_up:
            with pytest.raises(EndpointError, match=r"takes no weights\. Start it with: VLLM_SERVER_DEV_MODE=1"):
                checked_engine(PolicyEngineConfig("server", url))
    if not is_up:
        with pytest.raises(EndpointError, match=r"no vLLM server answers \(ConnectError\). Start it with"):
            checked_engine(PolicyEngineConfig("server", url))
