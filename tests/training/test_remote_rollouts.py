"""Rollouts with the big model behind a server: what they hold, and what becomes of them when it fails."""

import itertools
from contextlib import contextmanager

import pytest

from splitreason_cli.decoding.remote import RemoteConfig, connect_remote
from splitreason_cli.errors import EndpointError, ModelError
from splitreason_cli.models.loading import LoadedModel, load_pair
from splitreason_cli.models.sides import Side
from splitreason_cli.records.data import Problem
from splitreason_cli.split.limits import Limits
from splitreason_cli.store.embedded import MINI_PROBLEMS
from splitreason_cli.store.jsonl import decode, read_lines
from tests.rollout_decoders import lockstep
from tests.scripted_endpoint import serving
from tests.served_model import FAULTS, ServedModel
from tests.trained_tokenizers import byte_level

COUNT = 6
LIMITS = Limits(150, max_span_tokens=12)
NEARLY_GREEDY = 0.01
QUICK = RemoteConfig(stream_tokens=5, retries=2, retry_seconds=0.0)
IMPATIENT = RemoteConfig(retries=3, retry_seconds=0.0, first_token_seconds=1.0)
PROBLEMS = [decode(line, Problem.from_dict).problem for line in itertools.islice(read_lines(MINI_PROBLEMS), COUNT)]
SEEDS = [f"s{number}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


@pytest.fixture(scope="module")
def expected(pair):
    """Rollouts with both models in this process."""
    return lockstep(*pair, LIMITS, NEARLY_GREEDY).rollouts(PROBLEMS, SEEDS)


@contextmanager
def remote(server, config=QUICK):
    with serving(server) as url, connect_remote(Side(url), config) as model:
        yield model


def rollouts(pair, server, config=QUICK, temperature=NEARLY_GREEDY):
    with remote(server, config) as model:
        decoder = lockstep(pair[0], model, LIMITS, temperature)
        return decoder.rollouts(PROBLEMS, SEEDS)


def of(pair, body, number):
    """Whether a request is about the problem of that number."""
    prompt = pair[1].prompt_ids(PROBLEMS[number], hint=False)
    return body["prompt"][: len(prompt)] == prompt


def same(one, other):
    """Whether two rollouts are alike, but for the last bits of their log-probabilities."""
    return (one.completion_ids, one.decided, one.text, one.big_tokens, one.spans, one.closed_spans) == (
        other.completion_ids,
        other.decided,
        other.text,
        other.big_tokens,
        other.spans,
        other.closed_spans,
    ) and one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_a_served_big_model_writes_what_one_in_this_process_does(pair, expected):
    found = rollouts(pair, ServedModel(pair[1]))
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    assert sum(one.spans for one in found) >= COUNT
    assert not any(one.failed for one in found)


def test_a_big_model_that_knows_text_only_writes_it_too(pair, expected):
    server = ServedModel(pair[1])
    with serving(server) as url, connect_remote(Side(url, "mini-big", text_only=True), QUICK) as model:
        found = lockstep(pair[0], model, LIMITS, NEARLY_GREEDY).rollouts(PROBLEMS, SEEDS)
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    assert all(isinstance(body["prompt"], str) for body in server.bodies)


def test_no_stream_is_longer_than_it_may_be_and_the_next_goes_on_where_it_ended(pair, expected):
    server = ServedModel(pair[1])
    found = rollouts(pair, server, RemoteConfig(stream_tokens=2))
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    assert {body["max_tokens"] for body in server.bodies} == {2}
    assert len(server.bodies) > sum(one.spans for one in found)


def test_the_streams_of_all_rows_are_open_at_once_as_far_as_they_may(pair):
    together = ServedModel(pair[1], at_once=COUNT)
    rollouts(pair, together, RemoteConfig())
    assert together.most_open_streams == COUNT
    apart = ServedModel(pair[1])
    rollouts(pair, apart, RemoteConfig(concurrency=1))
    assert apart.most_open_streams == 1


def test_each_row_samples_with_a_seed_of_its_own_and_equal_seeds_give_equal_rollouts(pair):
    server = ServedModel(pair[1])
    first, again = (rollouts(pair, server, temperature=1.0) for _ in range(2))
    assert [one.completion_ids for one in first] == [one.completion_ids for one in again]
    assert {body["temperature"] for body in server.bodies} == {1.0}
    assert len({body["seed"] for body in server.bodies}) * 2 == len(server.bodies)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_that_fails_is_tried_again(pair, expected, fault):
    failed = []

    def once(body):
        """The first request about each problem fails."""
        number = next(n for n in range(COUNT) if of(pair, body, n))
        # A lost connection is tried once more by the client itself.
        if failed.count(number) >= (2 if fault == "reset" else 1):
            return ""
        failed.append(number)
        return fault

    found = rollouts(pair, ServedModel(pair[1], once), IMPATIENT if fault == "silent" else QUICK)
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    assert set(failed) == {number for number, one in enumerate(expected) if one.spans}


def test_streams_that_break_off_after_each_token_still_write_the_span(pair, expected):
    found = rollouts(pair, ServedModel(pair[1], lambda body: "broken off"))
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("fault", sorted({*FAULTS} - {"broken off"}))
def test_a_row_that_the_server_fails_for_good_holds_no_decision_and_leaves_the_others_alone(pair, expected, fault):
    victim = next(number for number, one in enumerate(expected) if one.spans)
    server = ServedModel(pair[1], lambda body: fault if of(pair, body, victim) else "")
    found = rollouts(pair, server, IMPATIENT if fault == "silent" else QUICK)
    assert [bool(one.failed) for one in found] == [number == victim for number in range(COUNT)]
    row = found[victim]
    assert len(row.completion_ids) == len(row.decided) > 0
    assert not any(row.decided)
    assert not any(row.logprobs)
    assert all(same(one, other) for n, (one, other) in enumerate(zip(found, expected, strict=True)) if n != victim)


def test_a_host_of_text_that_answers_nothing_is_asked_as_often_as_it_may_be(pair):
    server = ServedModel(pair[1], lambda body: "empty")
    with serving(server) as url, connect_remote(Side(url, "mini-big", text_only=True), QUICK) as model:
        decoder = lockstep(pair[0], model, LIMITS, NEARLY_GREEDY)
        found = decoder.rollouts(PROBLEMS, SEEDS)
    failed = [one.failed for one in found if one.spans]
    assert failed
    assert all("without a token" in why for why in failed)
    assert len(server.bodies) == len(failed) * (1 + QUICK.retries)


def test_a_server_that_is_gone_is_an_error_before_anything_starts(pair):
    with serving(ServedModel(pair[1])) as url:
        pass
    with pytest.raises(EndpointError, match="names no model"):
        connect_remote(Side(url), QUICK)


@pytest.mark.parametrize(("fault", "why"), [("refused", "HTTP 500: out of order"), ("empty", "without a token")])
def test_a_server_that_does_not_write_is_an_error(pair, fault, why):
    with remote(ServedModel(pair[1], lambda body: fault)) as model, pytest.raises(EndpointError, match=why):
        model.checked()


def test_a_tokenizer_that_is_not_found_asks_for_its_flag(pair):
    server = ServedModel(LoadedModel("/no/such/model", pair[1].model, pair[1].tokenizer))
    with serving(server) as url, pytest.raises(ModelError, match="--big-tokenizer"):
        connect_remote(Side(url), QUICK)


def test_a_big_model_of_another_vocabulary_is_refused(pair):
    with serving(ServedModel(pair[1])) as url, connect_remote(Side(url), QUICK) as model:
        model.loaded = LoadedModel("other", None, byte_level())
        with pytest.raises(ModelError, match="different vocabularies"):
            lockstep(pair[0], model, LIMITS, 1.0)
