"""Training on two processes of this machine, as `accelerate launch` starts them."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from splitreason_cli.records.data import GrpoStep, TrainStep
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.embedded import EMBEDDED_MODELS
from splitreason_cli.store.jsonl import decode, encode, read_lines, write_atomically
from splitreason_cli.store.source import Source
from splitreason_cli.training.grpo import train_grpo
from splitreason_cli.training.sft import RECIPES, train_sft
from tests.training import test_grpo as test_train_grpo
from tests.training import test_sft as test_train_sft

LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
LAUNCH += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m"]


def launch(folder, *arguments):
    """Run a module on two processes; returns what they wrote to standard error."""
    here = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [*LAUNCH, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
        env={**os.environ, "SRX_HOME": str(folder / "store"), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def weights(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()


def distance(one, two):
    """The largest difference of a weight."""
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def steps(artifact_path, kind):
    return [decode(line, kind.from_dict) for line in read_lines(artifact_path / "records.jsonl")]


def test_sft_on_two_processes_gives_the_model_of_one(tmp_path):
    write_atomically(tmp_path / "sft.jsonl", map(encode, test_train_sft.examples(40)))
    flags = ["--recipe", "mini", "--max-steps", 6, "--batch-size", 4]
    files = ["--in", tmp_path / "sft.jsonl", "--out", tmp_path / "model"]
    said = launch(tmp_path, "splitreason_cli", "train", "sft", *flags, *files)
    assert said.count("done: 6 steps") == 1, "one process speaks for all"
    config = dataclasses.replace(RECIPES["mini"], max_steps=6, batch_size=4)
    store = Store(tmp_path / "one")
    one, _ = train_sft(Source.open(str(tmp_path / "sft.jsonl"), store), config, store)
    start = weights(EMBEDDED_MODELS["mini-small"])
    moved = distance(weights(one.path / "model"), start)
    assert distance(weights(tmp_path / "model"), weights(one.path / "model")) < 0.01 * moved
    (two,) = (tmp_path / "store" / "artifacts" / "train_sft").iterdir()
    assert two.name == one.path.name
    losses = [[step.loss for step in steps(path, TrainStep)] for path in (two, one.path)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_grpo_on_two_processes_resumes_bit_equal_and_sees_the_whole_batch(tmp_path):
    write_atomically(tmp_path / "problems.jsonl", map(encode, test_train_grpo.problems(16)))
    launch(tmp_path, "tests.training.train_twice", tmp_path)
    said = [(tmp_path / f"rank-{number}").read_text().split() for number in range(2)]
    assert said[0] == said[1]
    whole, resumed = map(Path, said[0])
    assert (whole / "records.jsonl").read_bytes() == (resumed / "records.jsonl").read_bytes()
    assert distance(weights(whole / "model"), weights(resumed / "model")) == 0
    store = Store(tmp_path / "one")
    one, _ = train_grpo(Source.open(str(tmp_path / "problems.jsonl"), store), test_train_grpo.SHORT, store)
    first, same = steps(whole, GrpoStep)[0], steps(one.path, GrpoStep)[0]
    names = ("accuracy", "share", "spans", "span_tokens", "closed", "reward")
    assert [getattr(first, name) for name in names] == [getattr(same, name) for name in names]
    assert steps(whole, GrpoStep)[1].price == steps(one.path, GrpoStep)[1].price
