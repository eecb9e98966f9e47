"""Training with the big model behind a server that fails."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerCallback

from splitreason_cli.decoding.remote import RemoteConfig
from splitreason_cli.errors import EndpointError
from splitreason_cli.models.loading import load_model, load_pair
from splitreason_cli.models.sides import Side
from splitreason_cli.records.data import GrpoStep
from splitreason_cli.split.limits import Limits
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.jsonl import decode, encode, read_lines, write_atomically
from splitreason_cli.store.source import Source
from splitreason_cli.training.grpo import RECIPES, train_grpo
from splitreason_cli.training.grpo_config import Servers
from splitreason_cli.training.grpo_run import GrpoRun, GrpoWatcher
from tests.rollout_decoders import lockstep
from tests.scripted_endpoint import serving
from tests.served_model import ServedModel
from tests.training.test_grpo import problems

SHORT = dataclasses.replace(
    RECIPES["mini"], max_steps=2, prompts=2, num_generations=4, per_device_batch_size=8, save_steps=1, max_tokens=120
)
QUICK = RemoteConfig(retries=1, retry_seconds=0.0)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def source(tmp_path, store):
    write_atomically(tmp_path / "problems.jsonl", map(encode, problems(16)))
    return Source.open(str(tmp_path / "problems.jsonl"), store)


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


def train(source, store, url, **watched):
    config = dataclasses.replace(SHORT, big=url)
    return train_grpo(source, config, store, Servers(Side(url), QUICK), watcher=GrpoWatcher(**watched))


def gradients(pair, folder, rollouts, problem):
    """Those of one step on these rollouts of one problem, by parameter."""
    config = dataclasses.replace(
        SHORT, prompts=1, num_generations=len(rollouts), per_device_batch_size=len(rollouts), max_steps=1
    )
    folder.mkdir()
    found = {}

    class Keep(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
            found.update({name: weight.grad.clone() for name, weight in model.named_parameters()})

    class Fixed(GrpoRun):
        def _decoder(self, policy):
            return SimpleNamespace(rollouts=lambda prompts, seeds: rollouts)

    small = load_model("mini-split")
    trainer = Fixed(config, small, pair[1], folder, GrpoWatcher()).trainer([problem])
    trainer.add_callback(Keep())
    trainer.train()
    return found


def test_a_step_has_the_gradient_that_it_has_without_a_row_that_failed(pair, tmp_path):
    (problem,) = problems(1)
    decoder = lockstep(*pair, Limits(120, max_span_tokens=32), 1.0)
    rows = decoder.rollouts([problem.problem] * 4, list("abcd"))
    zeros = (0,) * len(rows[1].completion_ids)
    # Two rows that are worth something else, so that there is a gradient.
    rows[0] = dataclasses.replace(rows[0], text="\\boxed{-1}")
    rows[1] = dataclasses.replace(rows[1], decided=zeros, failed="gone", text="\\boxed{-1}")
    masked = gradients(pair, tmp_path / "masked", rows, problem)
    without = gradients(pair, tmp_path / "without", [rows[0], *rows[2:]], problem)
    assert masked.keys() == without.keys()
    assert sum(float(gradient.abs().sum()) for gradient in without.values()) > 0
    for name, gradient in without.items():
        torch.testing.assert_close(masked[name], gradient, rtol=1e-3, atol=1e-7)


def test_rows_that_the_big_model_fails_are_counted_and_the_run_goes_on(source, store, pair):
    warnings = []
    # By its context, so that every further try fails too.
    failing = ServedModel(pair[1], lambda body: "refused" if sum(body["prompt"]) % 3 == 0 else "")
    with serving(failing) as url:
        artifact, cached = train(source, store, url, on_warning=warnings.append)
        assert not cached
        assert train(source, store, url) == (artifact, True)
    steps = [decode(line, GrpoStep.from_dict) for line in read_lines(artifact.records)]
    told = [text for text in warnings if "the big model failed" in text and "HTTP 500" in text]
    assert len(told) == sum(step.failed > 0 for step in steps) > 0


def test_a_server_that_dies_stops_the_run_which_goes_on_when_it_is_back_elsewhere(source, store, pair):
    dead = []
    server = ServedModel(pair[1], lambda body: "reset" if dead else "")
    with serving(server) as url, pytest.raises(EndpointError, match="does not answer"):
        train(source, store, url, on_step=lambda report: dead.append(report.step))
    dead.clear()
    seen = []
    with serving(server) as url:
        train(source, store, url, on_step=lambda report: seen.append(report.step))
    assert seen == [2]
