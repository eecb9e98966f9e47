"""The commands together, in processes of their own: pipes, kills, resumption."""

import itertools
import os
import signal
import subprocess
import sys
import time

import orjson
import pytest

from splitreason_cli.records import markup
from splitreason_cli.records.data import KINDS, BenchResult, SftExample
from splitreason_cli.store.embedded import EMBEDDED_MODELS, MINI_TRACES, SAMPLE_DATA
from splitreason_cli.store.jsonl import decode, read_lines
from tests.cli.conftest import environment

TRACES = 120


def records(path):
    return [decode(line, KINDS[orjson.loads(line.data)["kind"]].from_dict) for line in read_lines(path)]


def shell(command, home):
    return subprocess.run(
        ["bash", "-c", command.replace("srx ", f"{sys.executable} -m splitreason_cli ")],
        cwd=home,
        env=environment(home),
        capture_output=True,
        timeout=550,
        check=False,
    )


def kill_when(arguments, home, ready):
    """Start a command and kill it with -9 as soon as `ready()`; returns whether it was still running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "splitreason_cli", *map(str, arguments)],
        cwd=home,
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not ready():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.fixture
def traces(tmp_path):
    path = tmp_path / "traces.jsonl"
    path.write_bytes(b"".join(line.data for line in itertools.islice(read_lines(MINI_TRACES), TRACES)))
    return path


def test_annotate_pipes_into_build_sft(tmp_path, traces):
    done = shell(f"srx annotate --in {traces} | srx build-sft > sft.jsonl", tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"annotate" in done.stderr, "progress belongs on standard error"
    built = records(tmp_path / "sft.jsonl")
    assert len(built) == TRACES
    assert all(isinstance(record, SftExample) for record in built)
    assert sum(record.completion.count(markup.OPEN) for record in built) > TRACES
    for record in built:
        markup.parse(record.completion)


def test_a_closed_pipe_ends_quietly(tmp_path, traces):
    done = shell(f"set -o pipefail; srx annotate --in {traces} | srx build-sft | head -1", tmp_path)
    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout)["kind"] == "sft_example"
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files_go_in_and_out(srx, tmp_path, traces, suffix):
    assert srx("annotate", "--in", traces, "--out", f"a.jsonl{suffix}").returncode == 0
    assert srx("build-sft", "--in", f"a.jsonl{suffix}", "--out", "b.jsonl").returncode == 0
    assert len(records(tmp_path / f"a.jsonl{suffix}")) == len(records(tmp_path / "b.jsonl")) == TRACES


def test_the_same_command_twice_says_that_it_is_done(srx, tmp_path, traces):
    first = srx("annotate", "--in", traces, "--out", "a.jsonl")
    second = srx("annotate", "--in", traces, "--out", "b.jsonl")
    assert b"already done" not in first.stderr
    assert b"already done: %d records -> b.jsonl" % TRACES in second.stderr
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    piped = srx("annotate", "--in", traces)
    assert piped.stdout == (tmp_path / "a.jsonl").read_bytes()
    key = orjson.loads(srx("store", "ls", "--json").stdout)["key"]
    assert orjson.loads(srx("store", "show", key[:6]).stdout)["config"]["threshold"] == 0.7
    assert os.path.isdir(srx("store", "path", key).stdout.decode().strip())  # noqa: PTH112
    assert srx("store", "gc", "--days", "0").returncode == 0
    assert srx("store", "ls", "--json").stdout == b""


def test_annotate_killed_in_the_middle_resumes_to_the_same_file(srx, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    traces = tmp_path / "traces.jsonl"
    traces.write_bytes(b"".join(line.data for line in itertools.islice(read_lines(MINI_TRACES), 400)))
    shell(f"srx annotate --in {traces} --out whole.jsonl", whole)
    journal = tmp_path / "store" / "work"

    def half_done():
        return any(path.stat().st_size > 10_000 for path in journal.glob("*/records.jsonl"))

    arguments = ["annotate", "--in", traces, "--out", "resumed.jsonl"]
    assert kill_when(arguments, tmp_path, half_done)
    assert not (tmp_path / "resumed.jsonl").exists()
    assert srx(*arguments).returncode == 0
    assert (tmp_path / "resumed.jsonl").read_bytes() == (whole / "whole.jsonl").read_bytes()


def test_build_sft_killed_in_the_middle_goes_on_to_the_same_files(srx, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    one = (SAMPLE_DATA / "records" / "annotated_trace.jsonl").read_bytes().splitlines()[0]
    rows = [{**orjson.loads(one), "id": str(n), "problem": f"p {n // 3}"} for n in range(30_000)]
    rows[7]["spans"] = rows[20_000]["spans"] = None
    (tmp_path / "in.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    arguments = ["build-sft", "--in", tmp_path / "in.jsonl", "--out", "sft.jsonl", "--tokenizer", "mini-small"]
    arguments += ["--max-tokens", "9999", "--no-dedup", "--dataset", "set"]
    assert shell("srx " + " ".join(map(str, arguments)), whole).returncode == 4
    work = tmp_path / "store" / "work"
    assert kill_when(arguments, tmp_path, lambda: any(work.glob("*/checkpoint.json")))
    kept = next(work.glob("*/records.jsonl")).read_bytes()
    assert b"\n" in kept
    assert srx(*arguments).returncode == 4
    made = [path.relative_to(whole) for path in [*whole.glob("s*"), *whole.glob("set/*/*")] if path.is_file()]
    assert len(made) == 4
    for name in made:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_bench_killed_in_the_middle_resumes_to_the_same_generations(srx, tmp_path):
    arguments = ["bench", "mini", "--systems", "split,random", "--offload-budget", "4%", "--problems", "64"]
    arguments += ["--samples", "1", "--temperature", "0", "--batch-size", "16"]
    arguments += ["--out", "results.jsonl", "--generations", "generations.jsonl"]
    whole = tmp_path / "whole"
    whole.mkdir()
    shell("srx " + " ".join(arguments), whole)
    work = tmp_path / "store" / "work"

    def half_done():
        return any(path.read_bytes().count(b"\n") >= 32 for path in work.glob("*/records.jsonl"))

    assert kill_when(arguments, tmp_path, half_done)
    assert srx(*arguments).returncode == 0
    for name in ("results.jsonl", "generations.jsonl"):
        one, two = ([{**r.to_dict(), "seconds": 0} for r in records(folder / name)] for folder in (tmp_path, whole))
        assert one == two
    split = records(tmp_path / "results.jsonl")[0]
    assert isinstance(split, BenchResult)
    assert 0 < split.offload_share <= 0.04


def test_train_sft_killed_in_the_middle_resumes_to_the_same_weights(srx, tmp_path, traces):
    whole = tmp_path / "whole"
    whole.mkdir()
    shell(f"srx annotate --in {traces} | srx build-sft --out {tmp_path}/sft.jsonl", tmp_path)
    arguments = ["train", "sft", "--recipe", "mini", "--in", tmp_path / "sft.jsonl", "--out", "model"]
    arguments += ["--max-steps", "18", "--save-steps", "5"]
    shell("srx " + " ".join(map(str, arguments)), whole)
    work = tmp_path / "store" / "work"
    assert kill_when(arguments, tmp_path, lambda: any(work.glob("*/trainer/checkpoint-1?")))
    assert srx(*arguments).returncode == 0
    one, two = ((folder / "model" / "model.safetensors").read_bytes() for folder in (tmp_path, whole))
    assert one == two
    assert one != (EMBEDDED_MODELS["mini-small"] / "model.safetensors").read_bytes()


def test_ctrl_c_says_so_and_keeps_the_work(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "splitreason_cli", "annotate", "--in", str(MINI_TRACES), "--out", "a.jsonl"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    work = tmp_path / "store" / "work"
    while process.poll() is None and not any(path.stat().st_size for path in work.glob("*/records.jsonl")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert b"interrupted; run the same command again to go on" in errors
    assert any(path.stat().st_size for path in work.glob("*/records.jsonl"))
