"""What both trainers do around the training itself: the hub, reporters, refusals before anything loads."""

import os
import re

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from splitreason_cli.cli.options import stepper
from splitreason_cli.cli.train_options import PolicyVllm
from splitreason_cli.errors import UsageError
from splitreason_cli.training.trainers import StepReport
from tests.training.test_sft import encode, examples, write_atomically

from ..scripted_hub import ScriptedHub
from ..untagged import write_untagged

TRAIN = ["train", "sft", "--recipe", "mini", "--max-steps", "1", "--batch-size", "2", "--in", "sft.jsonl"]


@pytest.fixture
def train(srx, tmp_path, monkeypatch):
    """Run one step of train sft; returns the completed process."""
    write_atomically(tmp_path / "sft.jsonl", map(encode, examples(4)))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: srx(*TRAIN, "--out", "mine", *arguments)


def test_a_model_is_delivered_first_and_pushed_when_the_hub_answers(train, tmp_path, monkeypatch):
    push = ("--push-to-hub", "me/my-model")
    hub = ScriptedHub(token="hf_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with hub.running() as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        refused = train(*push)
        # A file of the user's in the folder is not a part of the model.
        (tmp_path / "mine" / "notes.txt").write_text("private")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        pushed = train(*push)
    gone = train(*push)
    assert refused.returncode == gone.returncode == 7, refused.stderr + gone.stderr
    assert b"me/my-model: not pushed to the hub (HTTP 401: Invalid username or password.). The model" in refused.stderr
    assert b"me/my-model: not pushed to the hub (" in gone.stderr
    for done in (refused, gone, pushed):
        assert b"hf_" not in done.stderr
        assert b"Traceback" not in done.stderr
    assert pushed.returncode == 0, pushed.stderr
    assert f"pushed to {url}/me/my-model".encode() in pushed.stderr
    assert [one["visibility"] for one in hub.created] == ["private"]
    local = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    assert hub.files == {name: data for name, data in local.items() if name not in ("srx.json", "notes.txt")}
    assert {"README.md", "model.safetensors", "chat_template.jinja"} <= set(hub.files)


def test_a_push_that_nobody_is_logged_in_for_is_refused_before_training(train, tmp_path):
    done = train("--push-to-hub", "me/my-model")
    assert done.returncode == 2
    assert b"no token for the Hugging Face hub. Set HF_TOKEN, or log in with: hf auth login" in done.stderr
    assert not (tmp_path / "mine").exists()


def test_a_result_never_overwrites_the_model_that_it_comes_from(train, tmp_path):
    (tmp_path / "mine").mkdir()
    done = train("--model", "./mine")
    assert done.returncode == 2
    assert "--out mine is the model to start from. Name another folder" in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report-to", "excel"], "unknown package 'excel'. Known: tensorboard, trackio, wandb, none"),
        (["--lora-alpha", "8"], "--lora-alpha scales an adapter, and there is none. Add --lora-rank"),
    ],
)
def test_flags_that_cannot_work_are_refused(train, arguments, message):
    done = train(*arguments)
    assert done.returncode == 2
    assert message in done.stderr.decode()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((False, "server", None, None), "--vllm-mode has no effect. Give --use-vllm as well"),
        (
            (True, None, "http://host:8000", None),
            "--vllm-server-base-url has no effect. Give --vllm-mode server as well",
        ),
        ((True, "server", None, 0.5), "--vllm-gpu-memory-utilization has no effect. Tell the server"),
    ],
)
def test_flags_of_an_engine_that_is_not_there_are_refused(flags, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        PolicyVllm(*flags).engine()


def test_progress_shows_step_loss_and_speed_and_tells_the_time_left_from_the_steps_alone():
    clock = iter(range(0, 10_000, 100))
    live = Progress(
        TextColumn("{task.fields[note]}"),
        console=Console(file=open(os.devnull, "w")),  # noqa: PTH123, SIM115
        get_time=lambda: float(next(clock)),
        speed_estimate_period=1e9,
        auto_refresh=False,
    )
    on_step = stepper(live, "train")
    # Goes on from a checkpoint: the steps before it took no time here.
    for step in (901, 902, 903):
        on_step(StepReport(step, 1000, 0.1234, 5678.9))
    task = live.tasks[0]
    assert (task.completed, task.total) == (903, 1000)
    assert task.fields["note"] == "loss 0.123, 5,679 tokens/s"
    # At least a tick a step; with the 901 steps of before it would be about a hundredth.
    assert task.time_remaining >= 97 * 100


def test_a_model_that_knows_tags_as_text_only_is_neither_served_nor_measured(srx, tmp_path):
    write_untagged("mini-split", tmp_path / "plain")
    pair = ("--small", "plain", "--big", "mini-big")
    served = srx("serve", *pair, "--runtime", "in-process", "--port", "0")
    measured = srx("bench", "mini", *pair, "--problems", "1")
    for done in (served, measured):
        assert done.returncode == 6, done.stderr
        assert b"plain: the tokenizer has no hand-over tags as single tokens. Train it with: srx train" in done.stderr
