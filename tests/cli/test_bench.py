"""srx bench as its user sees it: tables, files, interruptions, failing servers."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from splitreason_cli.models.loading import load_model
from tests.cli.conftest import environment
from tests.scripted_endpoint import serving
from tests.served_model import ServedModel

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "aime24.jsonl"
QUICK = ("--samples", "2", "--problems", "6", "--batch-size", "6")


def records(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def lines(path):
    return path.read_bytes().count(b"\n")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    home = tmp_path_factory.mktemp("bench")
    command = [
        "bench",
        "mini",
        *QUICK,
        "--systems",
        "small,big,random,split",
        "--offload-budget",
        "0,3%",
        "--out",
        "out.jsonl",
        "--generations",
        "generations.jsonl",
        "--report",
        "report.html",
        "--plot",
        "frontier.svg",
    ]
    return home, subprocess.run(
        [sys.executable, "-m", "splitreason_cli", *command],
        cwd=home,
        env=environment(home),
        capture_output=True,
        timeout=550,
        check=False,
    )


def test_each_budget_has_its_split_and_its_random(done):
    home, process = done
    assert process.returncode == 0, process.stderr.decode()
    found = records(home / "out.jsonl")
    results = [(r["system"], r["offload_budget"]) for r in found if r["kind"] == "bench_result"]
    assert results == [
        ("small", None), ("big", None), ("split", 0.0), ("random", 0.0), ("split", 0.03), ("random", 0.03),
    ]  # fmt: skip
    compared = [r for r in found if r["kind"] == "bench_comparison"]
    assert [(c["system"], c["offload_budget"], c["baseline"]) for c in compared] == [
        ("split", budget, name) for budget in (0.0, 0.03) for name in ("small", "big", "random")
    ]
    assert all(c["ci95"][0] <= c["difference"] <= c["ci95"][1] for c in compared)


def test_the_tables_show_what_is_claimed_and_warn_of_few_problems(done):
    _, process = done
    shown = process.stdout.decode()
    for word in ("pass@1", "95 % interval", "maj@2", "truncated", "unclosed", "ungraded", "split ≤3% less random ≤3%"):
        assert word in shown
    assert "warning: too few problems to rely on a difference" in process.stderr.decode()
    assert "pass@1" in process.stderr.decode()


def test_generations_of_several_budgets_are_told_apart(done):
    home, _ = done
    made = records(home / "generations.jsonl")
    keys = {(g["system"], g["offload_budget"], g["id"], g["sample"]) for g in made}
    assert len(keys) == len(made) == 6 * 12


def test_report_and_plot_are_written(done):
    home, _ = done
    report = (home / "report.html").read_text(encoding="utf-8")
    assert "split ≤3%" in report
    assert "Comparisons" in report
    assert "srx bench mini --samples 2" in report
    assert b"<svg" in (home / "frontier.svg").read_bytes()


def test_two_of_its_files_are_compared(done):
    home, _ = done
    compared = subprocess.run(
        [
            sys.executable,
            "-m",
            "splitreason_cli",
            "bench",
            "compare",
            "generations.jsonl:split@3%",
            "out.jsonl:small",
            "--out",
            "-",
        ],
        cwd=home,
        env=environment(home),
        capture_output=True,
        check=True,
    )
    (record,) = map(orjson.loads, compared.stdout.splitlines())
    assert (record["system"], record["baseline"], record["problems"]) == ("split", "small", 6)


def test_the_log_of_a_run_is_graded_again(done):
    home, _ = done
    graded = subprocess.run(
        [sys.executable, "-m", "splitreason_cli", "bench", "mini", "--from", "generations.jsonl", "--out", "-"],
        cwd=home,
        env=environment(home),
        capture_output=True,
        check=True,
    )
    again = [orjson.loads(line) for line in graded.stdout.splitlines()]
    first = [r for r in records(home / "out.jsonl") if r["kind"] == "bench_result"]
    assert [r["pass_at_1"] for r in again] == [r["pass_at_1"] for r in first]
    assert "494 problems of the task are not in the log" in graded.stderr.decode()


def test_a_log_that_knows_no_tokens_shows_dashes(srx, tmp_path):
    rows = [{"id": "a", "problem": "1 + 1", "answer": "2", "completions": [r"\boxed{2}", r"\boxed{3}", "no idea"]}]
    (tmp_path / "log.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    process = srx("bench", "log.jsonl", "--from", "log.jsonl")
    assert process.returncode == 0, process.stderr.decode()
    (line,) = [line.split() for line in process.stdout.decode().splitlines() if "0.333" in line]
    assert line[0] == "imported"
    assert line[-2:] == ["–"] * 2


def test_completions_without_a_box_or_an_end_are_shown_and_warned_of(srx, tmp_path):
    row = {"problem": "1 + 1", "answer": "2", "finish_reason": "stop", "model": "theirs"}
    rows = [{**row, "completion": r"\boxed{2}"}, {**row, "completion": "The answer is 2", "finish_reason": "length"}]
    (tmp_path / "log.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    process = srx("bench", "log.jsonl", "--from", "log.jsonl", "--report", "r.html")
    shown, said = process.stdout.decode(), process.stderr.decode()
    assert "no answer" in shown
    assert "truncated" in shown
    assert "spans" not in shown
    assert "warning: theirs: 1 of 2 completions (50.0%) have no answer in a box" in said
    assert "warning: theirs: 1 of 2 completions (50.0%) were cut at the token limit" in said
    assert "1 of 2 completions (50.0%) have no answer in a box" in (tmp_path / "r.html").read_text(encoding="utf-8")
    loose = srx("bench", "log.jsonl", "--from", "log.jsonl", "--extract", "auto", "--system", "mine", "--out", "-")
    (result,) = map(orjson.loads, loose.stdout.splitlines())
    assert (result["system"], result["pass_at_1"], result["unanswered"], result["extract"]) == ("mine", 1.0, 0, "auto")
    assert "answers by --extract auto" in " ".join(loose.stderr.decode().split())
    assert "in a box" not in loose.stderr.decode()


def test_files_are_written_though_nobody_reads_the_tables_or_the_progress(tmp_path):
    files = {"--out": "out.jsonl", "--generations": "generations.jsonl", "--report": "r.html", "--plot": "p.svg"}
    command = [sys.executable, "-m", "splitreason_cli", "bench", "mini", *QUICK, "--systems", "small"]
    closed, gone = os.pipe()
    os.close(closed)
    done = subprocess.run(
        [*command, *(part for pair in files.items() for part in pair)],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=gone,
        stderr=gone,
        timeout=550,
        check=False,
    )
    os.close(gone)
    assert done.returncode == 0
    assert all((tmp_path / name).stat().st_size for name in files.values())


def test_generations_go_down_a_pipe(done, srx):
    home, _ = done
    made = subprocess.run(
        [sys.executable, "-m", "splitreason_cli", "bench", "mini", *QUICK, "--systems", "small", "--generations", "-"],
        cwd=home,
        env=environment(home),
        capture_output=True,
        check=True,
    )
    assert {orjson.loads(line)["kind"] for line in made.stdout.splitlines()} == {"generation"}
    assert "pass@1" in made.stderr.decode()
    listed = subprocess.run(
        [sys.executable, "-m", "splitreason_cli", "store", "ls"],
        cwd=home,
        env=environment(home),
        capture_output=True,
        check=True,
    )
    assert "mini, split ≤3%" in listed.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mini", "--from", "log", "--samples", "4"], "--samples means nothing to --from, which decodes nothing"),
        (["--big", "mini-big", "mini", "--from", "log"], "--big means nothing to --from, which decodes nothing"),
        (["mini", "--from", "log", "--vllm-args", "x"], "--vllm-args means nothing to --from, which decodes nothing"),
        (["mini", "--system", "mine"], "--system names what made a log"),
        (["mini", "--report", "-"], "--report is a file"),
        (["mini", "--out", "-", "--generations", "-"], "--out and --generations are both standard output"),
    ],
)
def test_what_has_no_meaning_is_refused_and_not_ignored(srx, arguments, message):
    process = srx("bench", *arguments)
    assert process.returncode == 2
    assert f"error: {message}. " in process.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "a", "b", "--samples", "4"], "No such option: --samples"),
        (["compare", "a"], "Missing argument"),
        (["latency", "--samples", "4"], "No such option: --samples"),
        (["mini", "--rounds", "4"], "No such option: --rounds"),
        (["mini", "other.jsonl"], "unexpected extra argument"),
    ],
)
def test_flags_and_files_of_another_command_are_unknown(srx, arguments, message):
    process = srx("bench", *arguments)
    assert process.returncode == 2
    assert message in process.stderr.decode()


def test_options_may_stand_before_the_task(srx):
    done = srx("bench", "--samples", "1", "mini", "--problems", "2", "--systems", "small", "--out", "-")
    assert done.returncode == 0, done.stderr.decode()
    assert orjson.loads(done.stdout)["samples"] == 1


@pytest.mark.parametrize("task", ["./compare", "./latency"])
def test_a_file_named_as_a_command_is_reached_by_its_path(srx, tmp_path, task):
    row = orjson.dumps({"problem": "1 + 1", "answer": "2", "completion": r"\boxed{2}"})
    (tmp_path / task).write_bytes(row)
    done = srx("bench", task, "--from", task, "--out", "-")
    assert done.returncode == 0, done.stderr.decode()
    assert orjson.loads(done.stdout)["pass_at_1"] == 1.0


def test_a_torn_log_is_graded_and_says_what_is_missing(srx, tmp_path):
    row = orjson.dumps({"problem": "1 + 1", "answer": "2", "completion": r"\boxed{2}"})
    (tmp_path / "tasks.jsonl").write_bytes(row)
    (tmp_path / "log.jsonl").write_bytes(row + b"\n" + row[:20])
    process = srx("bench", "tasks.jsonl", "--from", "log.jsonl", "--out", "out.jsonl", "--plot", "p.png")
    assert process.returncode == 4
    assert "warning: no p.png, as nothing says how many tokens" in process.stderr.decode()
    assert "1 records were rejected, see out.jsonl.rejected.jsonl" in process.stderr.decode()
    (result,) = records(tmp_path / "out.jsonl")
    assert (result["pass_at_1"], result["offload_share"]) == (1.0, None)


def test_ctrl_c_prints_what_is_known_and_a_rerun_goes_on(tmp_path, srx):
    command = ["bench", "mini", "--systems", "small,split", "--samples", "2", "--problems", "30", "--batch-size", "6"]
    process = subprocess.Popen(
        [sys.executable, "-m", "splitreason_cli", *command],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    work, finished = tmp_path / "store" / "work", tmp_path / "store" / "artifacts" / "bench"

    def split_has_begun():
        return any(finished.glob("*")) and any(lines(path) > 6 for path in work.glob("*/records.jsonl"))

    while process.poll() is None and not split_has_begun():
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    shown, errors = (stream.decode() for stream in process.communicate(timeout=400))
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted; run the same command again to go on" in errors
    assert re.search(r"split \(partial, \d+ of 60\)", shown)
    assert "small (partial" not in shown
    assert all(lines(path) % 6 == 0 for path in work.glob("*/records.jsonl"))
    again = srx(*command)
    assert again.returncode == 0
    assert "cached" in again.stderr.decode()


def test_a_server_that_dies_is_one_line_and_what_is_finished_stays(srx, tmp_path):
    calls = iter(range(10**6))
    server = ServedModel(load_model("mini-big"), lambda body: "refused" if next(calls) >= 6 else "")
    command = ["bench", "mini", "--systems", "small,split", "--samples", "1", "--temperature", "0", "--problems", "8"]
    with serving(server) as url:
        process = srx(*command, "--big", url, "--big-tokenizer", "mini-big", "--concurrency", "1")
    errors = process.stderr.decode()
    assert process.returncode == 7, errors
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "failed (the big model: " in line
    assert "Finished samples are kept" in line
    assert "split (partial, " in process.stdout.decode()
    with serving(ServedModel(load_model("mini-big"))) as url:
        again = srx(*command, "--big", url, "--big-tokenizer", "mini-big")
    assert again.returncode == 0, again.stderr.decode()


def test_ctrl_c_with_samples_in_flight_on_a_server_keeps_the_finished_ones(tmp_path):
    command = ["bench", "mini", "--systems", "split", "--samples", "2", "--big-tokenizer", "mini-big"]
    with serving(ServedModel(load_model("mini-big"))) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "splitreason_cli", *command, "--big", url],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        work = tmp_path / "store" / "work"
        while process.poll() is None and not any(lines(path) > 3 for path in work.glob("*/records.jsonl")):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        shown, errors = (stream.decode() for stream in process.communicate(timeout=400))
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "split (partial, " in shown
    assert sum(map(lines, work.glob("*/records.jsonl"))) > 3


@pytest.mark.skipif(not REAL.exists(), reason="the real problems lie beside the project")
def test_aime24_runs_on_the_embedded_pair_which_solves_nothing_of_it(srx, tmp_path):
    arguments = ["--systems", "small,split", "--problems", "3", "--samples", "1", "--temperature", "0"]
    done = srx("bench", "aime24", "--data", REAL, *arguments, "--max-tokens", "24", "--out", "out.jsonl")
    assert done.returncode == 0, done.stderr.decode()
    results = [one for one in records(tmp_path / "out.jsonl") if one["kind"] == "bench_result"]
    assert [(one["task"], one["problems"], one["pass_at_1"], one["ungraded"]) for one in results] == [
        ("aime24", 3, 0.0, 0)
    ] * 2
    assert b"too few problems to rely on a difference" in done.stderr
