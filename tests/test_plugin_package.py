"""The example package of the README: installed by pip, used by the command line."""

import importlib.util
import itertools
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import orjson
import pytest

from splitreason_cli.store.embedded import MINI_PROBLEMS, MINI_TRACES
from tests.cli.conftest import environment

PACKAGE = Path(__file__).parent / "plugin_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder that the package is installed in."""
    folder = tmp_path_factory.mktemp("installed") / "site"
    # Without a network where the test extras are installed.
    here = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", *here, "--target", folder, PACKAGE],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


@pytest.fixture
def srx(site, tmp_path):
    """Run the command line where the package is installed."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "splitreason_cli", *map(str, arguments)],
            capture_output=True,
            cwd=tmp_path,
            env={**environment(tmp_path), "PYTHONPATH": str(site)},
            timeout=550,
            check=False,
            text=True,
        )

    return run


def test_the_readme_shows_the_package_as_it_is():
    readme = (PACKAGE.parents[1] / "README.md").read_text("utf-8")
    section = readme.partition("## Adding your own")[2].partition("\n## ")[0]
    # A block's lines are indented, blank ones between them aside.
    blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", section, re.MULTILINE)
    files = "\n".join((PACKAGE / name).read_text("utf-8") for name in ("pyproject.toml", "srx_example.py"))
    assert len(blocks) == 5
    for block in blocks:
        assert textwrap.dedent(block).strip() in files


def records(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_its_task_is_measured_with_its_policy(srx, site, tmp_path):
    command = [
        "bench",
        "sums",
        "--policy",
        "every_line(3)",
        "--systems",
        "split",
        "--samples",
        "1",
        "--temperature",
        "0",
        "--problems",
        "4",
    ]
    done = srx(*command, "--out", "out.jsonl", "--generations", "generations.jsonl")
    assert done.returncode == 0, done.stderr
    (result,) = records(tmp_path / "out.jsonl")
    assert (result["task"], result["policy"], result["problems"]) == ("sums", "every_line(3)", 4)
    generations = records(tmp_path / "generations.jsonl")
    assert [one["answer"] for one in generations] == ["135", "136", "137", "138"]
    for one in generations:
        before, text = "", ""
        for segment in one["segments"]:
            if segment["author"] == "big":
                assert before.endswith("\n")
                assert len(segment["token_ids"]) <= 3
            before += segment["text"]
            text += segment["text"]
        assert one["correct"] == (f"boxed{{{one['answer']}}}" in text)
    assert "cached" in srx(*command).stderr
    with (site / "srx_example.py").open("a") as module:
        module.write("# changed\n")
    assert "cached" not in srx(*command).stderr


def test_its_policy_is_a_system_beside_ours_with_arguments(srx, tmp_path):
    done = srx(
        "bench", "mini", "--systems", "split,every_line(2),learned(0.3),keyword(c, d)", "--policy", "learned(0.3)",
        "--samples", "1", "--temperature", "0", "--problems", "8", "--out", "out.jsonl",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {one["system"]: one for one in records(tmp_path / "out.jsonl") if "policy" in one}
    assert set(found) == {"split", "every_line(2)", "learned(0.3)", "keyword(c, d)"}
    assert all(name in ("split", one["policy"]) and one["spans"] > 0 for name, one in found.items())
    assert found["learned(0.3)"]["big_tokens"] == found["split"]["big_tokens"]


def test_its_annotator_marks_what_its_argument_says(srx, tmp_path):
    for digits, place in (("2", "two.jsonl"), ("3", "three.jsonl")):
        done = srx("annotate", "--in", MINI_TRACES, "-n", "5", "--annotator", f"numbers({digits})", "--out", place)
        assert done.returncode == 0, done.stderr
    two, three = (records(tmp_path / place) for place in ("two.jsonl", "three.jsonl"))
    marked = [one["reasoning"][span["start"] : span["end"]] for one in three for span in one["spans"]]
    assert marked
    assert all(text.isdigit() and len(text) == 3 for text in marked)
    assert sum(len(one["spans"]) for one in two) > len(marked)
    assert {one["annotator"] for one in three} == {"numbers"}


def test_its_reward_is_what_rollouts_earn(srx, tmp_path):
    lines = MINI_PROBLEMS.read_bytes().splitlines(keepends=True)
    (tmp_path / "problems.jsonl").write_bytes(b"".join(itertools.islice(lines, 4)))
    done = srx(
        "train",
        "grpo",
        "--recipe",
        "mini",
        "--in",
        "problems.jsonl",
        "--reward",
        "brief(0.5)",
        "--max-steps",
        "1",
        "--prompts",
        "2",
        "--num-generations",
        "2",
        "--per-device-batch-size",
        "4",
        "--max-tokens",
        "60",
    )
    assert done.returncode == 0, done.stderr
    (place,) = tmp_path.glob("store/artifacts/train_grpo/*/records.jsonl")
    (step,) = records(place)
    assert step["price_paid"] == pytest.approx(0.5 * step["tokens"] / 1000, rel=1e-4)
    assert step["reward"] == pytest.approx(step["accuracy"] - step["price_paid"], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "summs"], "Known tasks: mini, aime24, aime25, math500, sums"),
        (["bench", "mini", "--policy", "every"], "unknown policy 'every'. Known are learned, "),
        (["annotate", "--annotator", "num"], "unknown annotator 'num'. Known are surprisal, llm, "),
        (["train", "grpo", "--reward", "long"], "unknown reward 'long'. Known are share, time, paper, brief"),
        (["train", "grpo", "--reward", "brief(x)"], "'brief(x)': could not convert string to float: 'x'"),
        (["train", "grpo", "--reward", "brief", "--cost", "time"], "--cost has no effect"),
        (["annotate", "--annotator", "numbers(2,3)"], "'numbers(2,3)': too many positional arguments"),
        (["annotate", "--annotator", "llm(x)"], "'llm(x)': llm takes no arguments. Give its flags instead"),
        (["annotate", "--annotator", "numbers", "--model", "m"], "--model belongs to another annotator"),
        (["bench", "sums", "--systems", "oracle"], "task 'sums' has no oracle"),
        (["bench", "sums", "--data", "x.jsonl"], "--data: the problems of sums are embedded"),
    ],
)
def test_mistakes_are_one_line_that_knows_the_package(srx, arguments, message):
    extra = ["--in", MINI_TRACES] if arguments[0] == "annotate" else []
    done = srx(*arguments, *extra)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
