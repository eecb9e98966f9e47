"""What the drivers of a benchmark leave in the budget: what is kept, and nothing else."""

import pytest

from splitreason_cli.decoding.lockstep import LockstepDecoder
from splitreason_cli.decoding.rows import Request
from splitreason_cli.errors import EndpointError, InputError
from splitreason_cli.measuring.drivers import DecodeJob, DriverConfig, ServerDriver
from splitreason_cli.models.loading import load_pair
from splitreason_cli.models.pair import Pair
from splitreason_cli.models.sampling import Sampling
from splitreason_cli.models.sides import Running
from splitreason_cli.records.data import Problem
from splitreason_cli.split.budget import OffloadBudget
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import Always, Relay
from tests.scripted import scripted
from tests.scripted_backend import ScriptedBackend


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


def driver_of(pair, fault=lambda call, number: ""):
    """Of models that never end. `fault` is the big one's."""
    letters, control = pair[0].tokenizer.encode("abxy", add_special_tokens=False), pair[0].token_ids
    models = [scripted(author, 0, 0, letters, control) for author in ("small", "big")]
    backends = ScriptedBackend(models[0], 0), ScriptedBackend(models[1], 0, fault=fault)
    sides = [Running(backend, loaded, None) for backend, loaded in zip(backends, pair, strict=True)]
    return ServerDriver(*sides, DriverConfig(Limits(60), Sampling()), concurrency=3)


def jobs(count):
    problems = [Problem(id=str(n), problem="1 " * (n + 1), answer="1") for n in range(count)]
    return [DecodeJob(0, problem, Relay(4, 6), n) for n, problem in enumerate(problems)]


def counts(budget):
    return budget.small_tokens, budget.big_tokens, budget.whole_spans, budget.reserved


def counts_of(kept):
    small = sum(len(one.controller.completion) - one.controller.big_tokens for one in kept)
    spans = sum(one.controller.hand_overs - one.controller.cut_spans for one in kept)
    return small, sum(one.controller.big_tokens for one in kept), spans, 0


@pytest.mark.parametrize("fault", ["refuse", "reset", "empty"])
def test_samples_that_a_model_failed_do_not_count_against_the_cap(pair, fault):
    driver = driver_of(pair, lambda call, number: fault if call == "stream" and number in (3, 20) else "")
    kept, budget = [], OffloadBudget()
    with pytest.raises(EndpointError, match="samples failed"):
        driver.run(jobs(8), budget, kept.extend, lambda ended: None)
    driver.close()
    assert len(kept) == 6
    assert counts(budget) == counts_of(kept)


def test_samples_in_flight_when_a_run_breaks_off_do_not_count_against_the_cap(pair):
    kept, budget = [], OffloadBudget()

    def keep(decoded):
        kept.extend(decoded)
        raise InputError("no room", "Make some")

    driver = driver_of(pair, lambda call, number: "hang" if call == "stream" and number == 2 else "")
    with pytest.raises(InputError, match="no room"):
        driver.run(jobs(8), budget, keep, lambda ended: None)
    driver.close()
    assert 0 < len(kept) < 8
    assert budget.reserved == 0


def test_an_interrupted_batch_leaves_nothing_reserved(pair):
    budget = OffloadBudget()

    def interrupt(running):
        assert budget.reserved > 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LockstepDecoder(Pair.of(*pair, hint=True), Limits(40)).decode(
            [Request("1", Always()) for _ in range(3)], budget, interrupt
        )
    assert budget.reserved == 0


def test_a_batch_that_cannot_begin_leaves_nothing_reserved(pair):
    class Breaking(Always):
        def opens(self, completion):
            raise ZeroDivisionError

    budget = OffloadBudget()
    requests = [Request("1", Always()), Request("1", Breaking())]
    with pytest.raises(ZeroDivisionError):
        LockstepDecoder(Pair.of(*pair, hint=True), Limits(40)).decode(requests, budget)
    assert budget.reserved == 0
