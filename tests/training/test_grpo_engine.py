"""Training with vLLM generating for the small model."""

import dataclasses
import random
from types import SimpleNamespace

import pytest

from splitreason_cli.errors import MachineError
from splitreason_cli.records.data import GrpoStep, Problem
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.jsonl import decode, encode, read_lines, write_atomically
from splitreason_cli.store.source import Source
from splitreason_cli.tasks.mini import sample_problem
from splitreason_cli.training.grpo import RECIPES, _recipe, train_grpo
from splitreason_cli.training.grpo_config import Servers
from splitreason_cli.training.policy_engine import PolicyEngineConfig
from tests.fake_generation import FakeGeneration

SHORT = dataclasses.replace(
    RECIPES["mini"],
    use_vllm=True,
    max_steps=2,
    prompts=1,
    num_generations=4,
    per_device_batch_size=2,
    save_steps=2,
    max_tokens=100,
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def source(tmp_path, store):
    mini = [sample_problem(random.Random(number)) for number in range(4)]
    problems = (Problem(id=f"p{n}", problem=one.text, answer=str(one.answer)) for n, one in enumerate(mini))
    write_atomically(tmp_path / "problems.jsonl", map(encode, problems))
    return Source.open(str(tmp_path / "problems.jsonl"), store)


@pytest.fixture
def gpu(monkeypatch):
    """As far as the engine asks."""
    monkeypatch.setattr("splitreason_cli.training.policy_engine.default_device", lambda: "cuda")


@pytest.fixture
def made(monkeypatch, gpu):
    """The engines that TRL made in place of vLLM's."""
    engines = []

    def make(**options):
        engines.append(FakeGeneration(**options))
        return engines[-1]

    monkeypatch.setattr("splitreason_cli.training.policy_engine.importlib", SimpleNamespace(util=Installed))
    monkeypatch.setattr("trl.trainer.grpo_trainer.VLLMGeneration", make)
    return engines


class Installed:
    @staticmethod
    def find_spec(name):
        return name


@pytest.mark.parametrize("rollout", ["split", "solo"])
def test_a_run_trains_on_what_the_engine_wrote_with_the_weights_of_each_step(source, store, made, rollout):
    config = dataclasses.replace(SHORT, rollout=rollout)
    artifact, _ = train_grpo(source, config, store, Servers(engine=PolicyEngineConfig(gpu_memory_utilization=0.2)))
    steps = [decode(line, GrpoStep.from_dict) for line in read_lines(artifact.records)]
    assert [step.step for step in steps] == [1, 2]
    assert all(0 < step.tokens <= 100 for step in steps)
    (engine,) = made
    assert engine.syncs == 2
    assert (engine.options["mode"], engine.options["gpu_memory_utilization"]) == ("colocate", 0.2)
    assert 300 < engine.options["max_model_length"] <= 2048
    after = engine.model.state_dict()
    assert any(not weight.equal(after[name]) for name, weight in engine.weights.state_dict().items())


def test_another_vllm_on_the_server_is_other_code(source):
    engines = [PolicyEngineConfig("server", version=version) for version in ("7.1", "7.2")]
    one, two = (_recipe(source, SHORT, None, engine) for engine in engines)
    assert one.key != two.key
    assert one.work_key == two.work_key
    assert one.code.libraries["vllm"] == "7.1"


def test_without_vllm_nothing_is_loaded(source, store, monkeypatch, gpu):
    monkeypatch.setattr("splitreason_cli.training.policy_engine.importlib.util.find_spec", lambda name: None)
    config = dataclasses.replace(SHORT, model="/no/such/model", big="/no/such/model")
    with pytest.raises(MachineError, match=r"--use-vllm: vLLM is not installed\. Install it: pip install"):
        train_grpo(source, config, store)
