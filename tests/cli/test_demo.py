"""The demo, whole and for real: what it promises a stranger."""

import dataclasses

import orjson
import pytest

from splitreason_cli.cli import demo as command
from splitreason_cli.records.markup import contains_tag
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.embedded import MINI_PROBLEMS

# Some machines do much else at the same time.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    import subprocess
    import sys

    from tests.cli.conftest import environment

    home = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "splitreason_cli", "demo", "--out", "d", "--problems", "160"],
        cwd=home,
        env=environment(home),
        capture_output=True,
        timeout=850,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return home / "d", done


def results(folder):
    records = [orjson.loads(line) for line in (folder / "results.jsonl").read_bytes().splitlines()]
    return {(record["system"], record["offload_budget"]): record for record in records}


def test_the_split_is_accurate_at_a_small_share(demo):
    split = results(demo[0])["split", None]
    assert split["pass_at_1"] >= 0.85
    assert split["offload_share"] <= 0.08
    assert split["ci95"][0] < split["pass_at_1"] < split["ci95"][1]
    assert split["problems"] == 160


def test_a_budget_is_a_cap_and_beats_chance_by_far(demo):
    found = results(demo[0])
    for budget in (0.05, 0.025, 0.01):
        assert found["split", budget]["big_tokens"] <= budget * found["split", budget]["tokens"]
    assert found["split", 0.05]["pass_at_1"] >= found["random", 0.05]["pass_at_1"] + 0.30
    shares = [found["split", budget]["pass_at_1"] for budget in (0.01, 0.025, 0.05)]
    assert shares == sorted(shares)


def test_the_records_are_the_documented_ones(demo):
    for record in results(demo[0]).values():
        assert list(record) == [
            "kind", "schema", "system", "policy", "offload_budget", "task", "problems", "samples", "pass_at_1", "ci95",
            "offload_share", "tokens", "big_tokens", "seconds", "maj_at_k", "spans", "truncated", "unclosed",
            "ungraded", "completions", "unanswered", "hand_over_seconds", "artifact", "extract",
        ]  # fmt: skip


def test_the_demo_ends_with_a_table_two_traces_and_a_report(demo):
    folder, done = demo
    shown = done.stdout.decode()
    assert shown.count("generation mini-test-") == 2
    assert shown.count("⟦") >= 2
    assert "pass@1" in shown
    assert not contains_tag(shown.split("pass@1")[1].split("generation")[0])
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "<mark>" in report
    assert report.count('<th scope="row">mini-test-') == 160
    assert "srx bench mini --small model" in report
    assert {path.name for path in folder.iterdir()} == {
        "annotated.jsonl",
        "sft.jsonl",
        "model",
        "results.jsonl",
        "generations.jsonl",
        "pareto.png",
        "report.html",
    }


def test_the_full_demo_trains_on_other_problems_and_measures_again(tmp_path):
    from splitreason_cli.training.grpo import RECIPES

    config = dataclasses.replace(
        RECIPES["mini"], model="mini-split", max_steps=3, prompts=1, num_generations=2, per_device_batch_size=2
    )
    runs = command.learn_when_to_ask(config, tmp_path, 20, Store(tmp_path / "store"), sample_steps=2)
    assert [(run.result.system, run.result.offload_budget) for run in runs] == [
        ("split + GRPO", budget) for budget in (None, 0.05, 0.025, 0.01)
    ]
    assert {run.result.problems for run in runs} == {20}
    made = tmp_path / "model-grpo"
    assert (made / "curves.png").read_bytes().startswith(b"\x89PNG")
    [sample] = (made / "samples.jsonl").read_bytes().splitlines()
    assert orjson.loads(sample)["sample"] == 2
    assert (made / "config.json").exists()
    problems = [orjson.loads(line) for line in (tmp_path / "problems.jsonl").read_bytes().splitlines()]
    held_out = [orjson.loads(line)["problem"] for line in MINI_PROBLEMS.read_bytes().splitlines()]
    assert len(problems) == 1000
    assert not {problem["problem"] for problem in problems} & set(held_out)


def test_the_big_model_wrote_only_what_the_segments_say(demo):
    folder, _ = demo
    for line in (folder / "generations.jsonl").read_bytes().splitlines():
        record = orjson.loads(line)
        big = sum(len(segment["token_ids"]) for segment in record["segments"] if segment["author"] == "big")
        assert big == record["big_tokens"]
        assert sum(len(segment["token_ids"]) for segment in record["segments"]) == record["tokens"]
