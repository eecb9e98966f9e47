"""Rollouts of a policy that an engine runs: the same ones, closed as often as the policy would, alike on all ranks."""

import itertools
import math
import threading

import pytest
import torch

from splitreason_cli.adapters import ranks
from splitreason_cli.adapters.embedded import MINI_PROBLEMS
from splitreason_cli.adapters.engine_rollouts import EngineRollouts, EngineSolo
from splitreason_cli.adapters.grpo import decision_logprobs
from splitreason_cli.adapters.jsonl import decode, read_lines
from splitreason_cli.adapters.models import load_pair
from splitreason_cli.adapters.pair import Side
from splitreason_cli.adapters.policy_engine import EngineConfig, PolicyEngine, checked_engine
from splitreason_cli.adapters.remote_model import RemoteConfig, connect_remote
from splitreason_cli.adapters.rollouts import RolloutDecoder
from splitreason_cli.adapters.solo import SoloDecoder
from splitreason_cli.core.controller import Limits
from splitreason_cli.core.decisions import Role, roles
from splitreason_cli.core.records import Problem
from splitreason_cli.errors import EndpointError, MachineError, ModelError
from tests.fake_generation import FakeGeneration
from tests.scripted_endpoint import serving
from tests.served_model import ServedModel

COUNT = 6
NEARLY_GREEDY = 0.01
PROBLEMS = [
    decode(line, Problem.from_dict).problem for line in itertools.islice(read_lines(MINI_PROBLEMS), COUNT)
]  # fmt: skip
SEEDS = [f"s{number}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


def engine_of(small, context_tokens=None, *, shared=False):
    return PolicyEngine(FakeGeneration(small.model), context_tokens, shared=shared)


def without_logprobs(rollout):
    return {**vars(rollout), "logprobs": ()}


@pytest.mark.parametrize("sample_closing", [True, False])
@pytest.mark.parametrize(
    ("limits", "chunk"), [(Limits(150), 5), (Limits(150, max_span_tokens=4), 3), (Limits(40, max_span_tokens=12), 16)]
)
def test_an_engine_makes_the_rollouts_that_are_made_token_by_token(pair, limits, chunk, sample_closing):
    plain = RolloutDecoder(*pair, limits, NEARLY_GREEDY, hint=True, sample_closing=sample_closing)
    chunked = EngineRollouts(
        *pair, limits, NEARLY_GREEDY, engine=engine_of(pair[0]), hint=True, sample_closing=sample_closing,
        chunk_tokens=chunk,
    )  # fmt: skip
    expected, found = (decoder.rollouts(PROBLEMS, SEEDS) for decoder in (plain, chunked))
    assert [without_logprobs(one) for one in found] == [without_logprobs(one) for one in expected]
    assert sum(one.spans for one in found) >= COUNT
    assert any(one.cut_spans for one in found) == (limits.max_span_tokens == 4 or limits.max_tokens == 40)


def test_the_big_model_may_be_behind_a_server(pair):
    limits = Limits(150, max_span_tokens=12)
    expected = RolloutDecoder(*pair, limits, NEARLY_GREEDY, hint=True).rollouts(PROBLEMS, SEEDS)
    quick = RemoteConfig(stream_tokens=5, retries=1, retry_seconds=0.0)
    with serving(ServedModel(pair[1])) as url, connect_remote(Side(url), quick) as big:
        decoder = EngineRollouts(
            pair[0], big, limits, NEARLY_GREEDY, engine=engine_of(pair[0]), hint=True, chunk_tokens=4
        )
        found = decoder.rollouts(PROBLEMS, SEEDS)
    assert [without_logprobs(one) for one in found] == [without_logprobs(one) for one in expected]


def test_a_row_that_the_server_fails_holds_no_decision_and_leaves_the_others_alone(pair):
    limits = Limits(150, max_span_tokens=12)
    expected = RolloutDecoder(*pair, limits, NEARLY_GREEDY, hint=True).rollouts(PROBLEMS, SEEDS)
    victim = next(number for number, one in enumerate(expected) if one.spans)
    prompt = pair[1].prompt_ids(PROBLEMS[victim], hint=False)
    server = ServedModel(pair[1], lambda body: "refused" if body["prompt"][: len(prompt)] == prompt else "")
    with serving(server) as url, connect_remote(Side(url), RemoteConfig(retries=1, retry_seconds=0.0)) as big:
        decoder = EngineRollouts(pair[0], big, limits, NEARLY_GREEDY, engine=engine_of(pair[0]), hint=True)
        found = decoder.rollouts(PROBLEMS, SEEDS)
    assert [bool(one.failed) for one in found] == [number == victim for number in range(COUNT)]
    assert not any(found[victim].decided)
    others = [number for number in range(COUNT) if number != victim]
    assert [found[n].completion_ids for n in others] == [expected[n].completion_ids for n in others]


def test_spans_close_as_often_as_the_policy_closes_them(pair):
    """What was closed less what was to be expected is a martingale: its variance is the sum of those of the choices."""
    temperature, tags = 1.5, pair[0].token_ids
    decoder = EngineRollouts(
        *pair, Limits(60, max_span_tokens=20), temperature, engine=engine_of(pair[0]), hint=True, chunk_tokens=6
    )
    surplus = variance = closings = 0.0
    for rollout in decoder.rollouts(PROBLEMS * 8, SEEDS * 8):
        ids = torch.tensor([[*rollout.prompt_ids, *rollout.completion_ids]])
        length = len(rollout.completion_ids)
        with torch.no_grad():
            logits = pair[0].model(ids).logits[:, -length - 1 : -1].float() / temperature
        scores = decision_logprobs(logits, ids[:, -length:], tags.open, tags.close)[0].exp().tolist()
        found = roles(rollout.completion_ids, tags.open, tags.close)
        for role, chance, decided in zip(found, scores, rollout.decided, strict=True):
            if decided and role in (Role.CLOSE, Role.GO_ON):
                closes = role is Role.CLOSE
                surplus += closes - (chance if closes else 1 - chance)
                variance += chance * (1 - chance)
                closings += closes
    assert closings > 20
    assert variance > 5
    assert abs(surplus) < 3 * math.sqrt(variance)


def test_solo_rollouts_are_one_call(pair):
    expected = SoloDecoder(pair[0], 150, NEARLY_GREEDY, hint=True).rollouts(PROBLEMS, SEEDS)
    generation = FakeGeneration(pair[0].model)
    engine = PolicyEngine(generation, shared=False)
    found = EngineSolo(pair[0], 150, NEARLY_GREEDY, engine=engine, hint=True).rollouts(PROBLEMS, SEEDS)
    assert found == expected
    assert generation.calls == [(COUNT, 150)]


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
            except Exception as error:
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


def test_ranks_that_share_an_engine_call_it_alike_and_get_their_own_rollouts(pair, monkeypatch):
    limits, generations = Limits(80, max_span_tokens=12), [FakeGeneration(pair[0].model) for _ in range(2)]
    expected = RolloutDecoder(*pair, limits, NEARLY_GREEDY, hint=True).rollouts(PROBLEMS, SEEDS)
    shares = [slice(0, 1), slice(1, COUNT)]

    def work(rank):
        engine = PolicyEngine(generations[rank], shared=True)
        decoder = EngineRollouts(*pair, limits, NEARLY_GREEDY, engine=engine, hint=True, chunk_tokens=4)
        return decoder.rollouts(PROBLEMS[shares[rank]], SEEDS[shares[rank]])

    found = Ranks(monkeypatch).run(lambda: work(0), lambda: work(1))
    assert generations[0].calls == generations[1].calls
    assert [one.completion_ids for one in found[0] + found[1]] == [one.completion_ids for one in expected]


def test_a_missing_vllm_is_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"vLLM is not installed. Install it: pip install "):
        checked_engine(EngineConfig())


@pytest.mark.parametrize("is_up", [True, False])
def test_a_server_that_is_not_there_or_takes_no_weights_is_one_line(pair, monkeypatch, is_up):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("splitreason_cli.adapters.policy_engine.default_device", lambda: "cuda")
    with serving(ServedModel(pair[1])) as url:
        if is_up:
            with pytest.raises(EndpointError, match="takes no weights. Start it with: VLLM_SERVER_DEV_MODE=1"):
                checked_engine(EngineConfig("server", url))
    if not is_up:
        with pytest.raises(EndpointError, match=r"no vLLM server answers \(ConnectError\). Start it with"):
            checked_engine(EngineConfig("server", url))
