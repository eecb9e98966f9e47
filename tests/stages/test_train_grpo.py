import dataclasses
import itertools
import random

import pytest
import torch
from transformers import AutoModelForCausalLM

from splitreason_cli.adapters.embedded import EMBEDDED_MODELS
from splitreason_cli.adapters.jsonl import decode, encode, read_lines, write_atomically
from splitreason_cli.adapters.source import Source
from splitreason_cli.adapters.store import Store
from splitreason_cli.core.mini import sample_problem
from splitreason_cli.core.records import GrpoStep, Problem
from splitreason_cli.errors import InputError
from splitreason_cli.stages.train_grpo import RECIPES, train_grpo

SHORT = dataclasses.replace(
    RECIPES["mini"], max_steps=4, prompts=2, num_generations=4, per_device_batch_size=8, save_steps=2,
    offload_budget=0.02, max_tokens=120,
)  # fmt: skip


def problems(count):
    rng = random.Random(1)
    for number in range(count):
        problem = sample_problem(rng)
        yield Problem(id=f"p{number}", problem=problem.text, answer=str(problem.answer))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def source(tmp_path, store):
    write_atomically(tmp_path / "problems.jsonl", map(encode, problems(16)))
    return Source.open(str(tmp_path / "problems.jsonl"), store)


def weights(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_changes_the_model_and_tells_what_happened_at_each_step(source, store):
    artifact, cached = train_grpo(source, SHORT, store)
    assert not cached
    steps = [decode(line, GrpoStep.from_dict) for line in read_lines(artifact.records)]
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert all(0 <= step.accuracy <= 1 and 0 <= step.share <= 1 for step in steps)
    assert any(step.spans > 0 and step.span_tokens > 0 for step in steps)
    moves = [after.price - before.price for before, after in itertools.pairwise(steps)]
    assert [move > 0 for move in moves] == [step.share > SHORT.offload_budget for step in steps[:-1]]
    assert not same(weights(artifact.path / "model"), weights(EMBEDDED_MODELS["mini-split"]))
    assert train_grpo(source, SHORT, store) == (artifact, True)


def test_an_interrupted_run_goes_on_to_the_same_weights(source, store, tmp_path):
    def stop(step, total, loss):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_grpo(source, SHORT, store, on_step=stop)
    seen = []
    resumed, _ = train_grpo(source, SHORT, store, on_step=lambda step, total, loss: seen.append(step))
    whole, _ = train_grpo(source, SHORT, Store(tmp_path / "other"))
    assert seen == [3, 4]
    assert resumed.records.read_bytes() == whole.records.read_bytes()
    assert same(weights(resumed.path / "model"), weights(whole.path / "model"))


def test_a_file_without_problems_is_refused(tmp_path, store):
    write_atomically(tmp_path / "empty.jsonl", [b'{"kind":"problem","id":"a","problem":1,"answer":"2"}\n'])
    with pytest.raises(InputError, match="holds no problem"):
        train_grpo(Source.open(str(tmp_path / "empty.jsonl"), store), SHORT, store)


@pytest.mark.parametrize("changes", [{"cost": "time"}, {"closing": "argmax"}])
def test_variants_of_the_reward_and_of_closing_train(source, store, changes):
    config = dataclasses.replace(SHORT, max_steps=1, **changes)
    artifact, _ = train_grpo(source, config, store)
    (step,) = [decode(line, GrpoStep.from_dict) for line in read_lines(artifact.records)]
    assert step.spans > 0
    assert not same(weights(artifact.path / "model"), weights(EMBEDDED_MODELS["mini-split"]))


def test_a_solo_run_earns_the_paper_s_rewards_for_tags_of_its_own(source, store):
    artifact, _ = train_grpo(source, dataclasses.replace(SHORT, max_steps=1, rollout="solo"), store)
    (step,) = [decode(line, GrpoStep.from_dict) for line in read_lines(artifact.records)]
    # The bonus for closed tags alone is worth more than any right answer less a price.
    assert step.reward > 1
    assert step.spans > 0
    assert not same(weights(artifact.path / "model"), weights(EMBEDDED_MODELS["mini-split"]))
