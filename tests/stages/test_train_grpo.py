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
from splitreason_cli.core.grading import is_correct
from splitreason_cli.core.mini import sample_problem
from splitreason_cli.core.records import Generation, GrpoStep, Problem
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


def untimed(artifact):
    """The rollouts that were kept, without how long they took."""
    samples = [decode(line, Generation.from_dict) for line in read_lines(artifact.path / "samples.jsonl")]
    return [dataclasses.replace(sample, seconds=0.0) for sample in samples]


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_changes_the_model_and_tells_what_happened_at_each_step(source, store):
    artifact, cached = train_grpo(source, SHORT, store)
    assert not cached
    steps = [decode(line, GrpoStep.from_dict) for line in read_lines(artifact.records)]
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert all(0 <= step.accuracy <= 1 and 0 <= step.share <= 1 for step in steps)
    assert any(step.spans > 0 and step.span_tokens > 0 for step in steps)
    for step in steps:
        assert step.reward == pytest.approx(step.accuracy - step.price_paid, abs=1e-5)
        assert step.unclosed == pytest.approx(step.spans * (1 - step.closed), abs=1e-5)
        assert step.share * step.tokens == pytest.approx(step.spans * step.span_tokens, abs=1e-5)
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
    seen, samples = [], []
    resumed, _ = train_grpo(
        source, SHORT, store, on_step=lambda step, total, loss: seen.append(step), on_sample=samples.append
    )
    whole, _ = train_grpo(source, SHORT, Store(tmp_path / "other"))
    assert seen == [sample.sample for sample in samples] == [3, 4]
    assert untimed(resumed) == untimed(whole)
    assert resumed.records.read_bytes() == whole.records.read_bytes()
    assert same(weights(resumed.path / "model"), weights(whole.path / "model"))


def test_a_rollout_of_each_step_is_kept_with_who_wrote_what(source, store):
    seen = []
    artifact, _ = train_grpo(source, SHORT, store, on_sample=seen.append)
    assert [sample.sample for sample in seen] == [1, 2, 3, 4]
    assert [decode(line, Generation.from_dict) for line in read_lines(artifact.path / "samples.jsonl")] == seen
    answers = {problem.id: (problem.problem, problem.answer) for problem in problems(16)}
    for sample in seen:
        assert (sample.problem, sample.answer) == answers[sample.id]
        tokens = {
            author: sum(len(one.token_ids) for one in sample.segments if one.author == author)
            for author in ("small", "big")
        }
        assert (tokens["big"], tokens["small"]) == (sample.big_tokens, sample.tokens - sample.big_tokens)
        assert sample.correct == is_correct("".join(one.text for one in sample.segments), sample.answer)
    assert any(sample.spans for sample in seen)


@pytest.mark.parametrize(
    ("changes", "word"),
    # One model never learned the tags. Spans of one token are closed by the limit before the other would.
    [({"model": "mini-small"}, "never hands over"), ({"max_span_tokens": 1}, "never takes back")],
)
def test_a_collapse_is_told_once_and_stands_in_every_step(source, store, changes, word):
    config = dataclasses.replace(SHORT, max_steps=3, prompts=4, per_device_batch_size=16, learning_rate=0.0, **changes)
    told = []
    artifact, _ = train_grpo(source, config, store, on_warning=told.append)
    steps = [decode(line, GrpoStep.from_dict) for line in read_lines(artifact.records)]
    assert [word in step.warning for step in steps] == [True] * 3
    assert told == [f"step 1: {steps[0].warning}"]


def test_a_file_without_problems_is_refused(tmp_path, store):
    write_atomically(tmp_path / "empty.jsonl", [b'{"kind":"problem","id":"a","problem":1,"answer":"2"}\n'])
    with pytest.raises(InputError, match="holds no problem"):
        train_grpo(Source.open(str(tmp_path / "empty.jsonl"), store), SHORT, store)
