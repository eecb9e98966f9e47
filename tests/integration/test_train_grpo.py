"""Training with the big model on a real vLLM server, as users call it."""

import itertools
import subprocess
import sys

from splitreason_cli.decoding.remote import RemoteConfig, connect_remote
from splitreason_cli.models.loading import load_pair
from splitreason_cli.models.sides import Side
from splitreason_cli.records.data import GrpoStep, Problem
from splitreason_cli.split.limits import Limits
from splitreason_cli.store.embedded import MINI_PROBLEMS
from splitreason_cli.store.jsonl import decode, read_lines, write_atomically
from tests.cli.conftest import environment
from tests.integration.conftest import NEEDS_VLLM
from tests.rollout_decoders import lockstep

pytestmark = NEEDS_VLLM


def test_two_steps_with_the_big_model_on_vllm(servers, tmp_path):
    big = servers["mini-big"]
    write_atomically(
        tmp_path / "problems.jsonl", (line.data for line in itertools.islice(read_lines(MINI_PROBLEMS), 16))
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "splitreason_cli",
            "train",
            "grpo",
            "--recipe",
            "mini",
            "--max-steps",
            "2",
            "--prompts",
            "4",
            "--per-device-batch-size",
            "32",
            "--in",
            "problems.jsonl",
            "--out",
            "trained",
            "--big",
            big.url,
            "--big-key-env",
            "BIG_KEY",
            "--big-tokenizer",
            "mini-big",
        ],
        capture_output=True,
        cwd=tmp_path,
        env={**environment(tmp_path), "BIG_KEY": big.api_key},
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"warning" not in done.stderr
    assert big.api_key.encode() not in done.stderr
    (records,) = tmp_path.glob("**/artifacts/train_grpo/*/records.jsonl")
    steps = [decode(line, GrpoStep.from_dict) for line in read_lines(records)]
    assert [step.step for step in steps] == [1, 2]
    assert all(step.spans > 0 and step.share > 0 and step.failed == 0 for step in steps)
    assert all(step.accuracy > 0.5 for step in steps)
    assert (tmp_path / "trained" / "model.safetensors").exists()


def test_vllm_and_this_process_write_the_same_rollouts(servers, monkeypatch):
    big = servers["mini-big"]
    monkeypatch.setenv("BIG_KEY", big.api_key)
    pair = load_pair("mini-split", "mini-big")
    problems = [decode(line, Problem.from_dict).problem for line in itertools.islice(read_lines(MINI_PROBLEMS), 24)]
    seeds = [f"s{number}" for number in range(len(problems))]
    limits = Limits(200, max_span_tokens=32)
    expected = lockstep(*pair, limits, 0.01).rollouts(problems, seeds)
    with connect_remote(Side(big.url, "mini-big", "BIG_KEY"), RemoteConfig()) as model:
        model.checked()
        found = lockstep(pair[0], model, limits, 0.01).rollouts(problems, seeds)
    assert [one.completion_ids for one in found] == [one.completion_ids for one in expected]
    assert [one.decided for one in found] == [one.decided for one in expected]
    assert sum(one.spans for one in found) >= 12
