"""The store as a user meets it: what differs, starting anew, and stores that may only be read."""

import itertools
import signal
import subprocess
import sys
import time

import orjson
import pytest

from splitreason_cli.store.embedded import MINI_TRACES
from splitreason_cli.store.jsonl import read_lines
from tests.cli.conftest import environment

READ_ONLY = """
import os, sys
root = os.path.realpath(os.environ["SRX_HOME"])
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
changing = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.utime",
            "os.chmod", "shutil.rmtree"}

def refuse(event, args):
    if event not in changing and not (event == "open" and args[2] & writing):
        return
    for path in args[:2]:
        if isinstance(path, (str, bytes, os.PathLike)) and os.path.realpath(os.fsdecode(path)).startswith(root):
            print("WRITES", event, path, file=sys.stderr)
            raise PermissionError(30, "Read-only file system", path)

sys.addaudithook(refuse)
from splitreason_cli.cli import main
main()
"""
BENCH = ["bench", "mini", "--systems", "small,split,entropy", "--problems", "8", "--temperature", "0", "--samples", "1"]
SFT = ["train", "sft", "--recipe", "mini", "--max-steps", "1", "--in", "sft.jsonl", "--out", "model"]


def tree(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with input and a store in which every verb has been at work."""
    folder = tmp_path_factory.mktemp("home")
    lines = itertools.islice(read_lines(MINI_TRACES), 40)
    (folder / "traces.jsonl").write_bytes(b"".join(line.data for line in lines))
    for arguments in (
        ["annotate", "--in", "traces.jsonl", "--out", "annotated.jsonl"],
        ["build-sft", "--in", "annotated.jsonl", "--out", "sft.jsonl"],
        BENCH,
        SFT,
    ):
        done = srx_in(folder, arguments)
        assert done.returncode == 0, done.stderr
    return folder


def srx_in(folder, arguments, *, read_only=False, stdin=b""):
    program = ["-c", READ_ONLY] if read_only else ["-m", "splitreason_cli"]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        input=stdin,
        capture_output=True,
        cwd=folder,
        env=environment(folder),
        check=False,
    )


def infos(folder):
    return [orjson.loads(line) for line in srx_in(folder, ["store", "ls", "--json"]).stdout.splitlines()]


def key_of(folder, stage, **config):
    (key,) = (
        info["key"] for info in infos(folder) if info["stage"] == stage and config.items() <= info["config"].items()
    )
    return key


@pytest.mark.parametrize(
    "arguments",
    [
        ["annotate", "--in", "traces.jsonl", "--out", "again.jsonl"],
        ["build-sft", "--in", "annotated.jsonl"],
        [*BENCH, "--report", "report.html", "--generations", "g.jsonl"],
        SFT,
        ["store", "ls"],
        ["store", "gc", "--dry-run"],
    ],
    ids=" ".join,
)
def test_what_is_finished_is_read_from_a_store_that_may_not_be_written(home, arguments):
    before = tree(home / "store")
    done = srx_in(home, arguments, read_only=True)
    assert (done.returncode, b"WRITES" in done.stderr) == (0, False), done.stderr
    assert tree(home / "store") == before
    if arguments[0] != "store":
        assert b"already done" in done.stderr or done.stderr.count(b", cached") == 3


def test_keys_are_read_from_a_store_that_may_not_be_written(home):
    before = tree(home / "store")
    runs = [info["key"] for info in infos(home) if info["stage"] == "bench" and "system" in info["config"]]
    for arguments in (["bench", "compare", *runs[:2]], ["store", "show", *runs[:2]], ["store", "path", runs[0]]):
        done = srx_in(home, arguments, read_only=True)
        assert (done.returncode, b"WRITES" in done.stderr) == (0, False), done.stderr
        assert done.stdout
    assert tree(home / "store") == before


def test_records_from_a_pipe_need_no_writable_store_either(home):
    before = tree(home / "store")
    done = srx_in(home, ["annotate"], read_only=True, stdin=(home / "traces.jsonl").read_bytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout == (home / "annotated.jsonl").read_bytes()
    assert tree(home / "store") == before


def test_a_log_is_graded_beside_a_store_that_may_not_be_written(home):
    row = {"problem": "1 + 1", "answer": "2", "completion": r"\boxed{2}"}
    (home / "tasks.jsonl").write_bytes(orjson.dumps(row))
    (home / "log.jsonl").write_bytes(orjson.dumps(row) + b"\n{")
    before = tree(home / "store")
    for out, rejected in (("results.jsonl", "results.jsonl.rejected.jsonl"), ("-", "bench.rejected.jsonl")):
        command = ["bench", "tasks.jsonl", "--from", "log.jsonl", "--out", out]
        done = srx_in(home, command, read_only=True)
        assert done.returncode == 4, done.stderr
        # Only where there is no file to put the rejected records beside.
        assert (b"WRITES" in done.stderr) == (out == "-")
        place = done.stderr.decode().partition("records were rejected, see ")[2].split(". ")[0].replace("\n", "")
        assert place.endswith(rejected)
        assert (home / place).stat().st_size
    assert tree(home / "store") == before


def test_show_names_what_differs_between_two_artifacts(home):
    assert srx_in(home, ["annotate", "--in", "traces.jsonl", "--threshold", "0.8"]).returncode == 0
    one, two = (key_of(home, "annotate", threshold=threshold) for threshold in (0.7, 0.8))
    assert srx_in(home, ["store", "show", one, two]).stdout == b"config.threshold: 0.7 -> 0.8\n"
    assert srx_in(home, ["store", "show", one, one]).stdout == b""
    other = srx_in(home, ["store", "show", one, key_of(home, "build_sft")]).stdout
    assert b'stage: "annotate" -> "build_sft"\n' in other
    assert b"library torch: " in other
    shown = orjson.loads(srx_in(home, ["store", "show", one]).stdout)
    assert shown["libraries"]["torch"]
    assert "errors.py" in shown["sources"]


@pytest.mark.parametrize("stage", [["annotate", "--in", "traces.jsonl"], ["build-sft", "--in", "annotated.jsonl"]])
def test_fresh_does_it_again_under_the_same_key(home, stage):
    before = infos(home)
    done = srx_in(home, [*stage, "--fresh"])
    assert done.returncode == 0
    assert b"already done" not in done.stderr
    assert sorted(info["key"] for info in infos(home)) == sorted(info["key"] for info in before)
    assert b"already done" in srx_in(home, stage).stderr


def test_after_ctrl_c_afresh_the_same_command_without_the_flag_makes_the_rest_anew(tmp_path):
    command = ["bench", "mini", "--systems", "small,big", "--problems", "30", "--samples", "2", "--batch-size", "6"]
    assert srx_in(tmp_path, command).returncode == 0
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("store/artifacts/bench/*/meta.json")}
    process = subprocess.Popen(
        [sys.executable, "-m", "splitreason_cli", *command, "--fresh"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while process.poll() is None and not any(tmp_path.glob("store/work/*/records.jsonl")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 130, errors
    assert b"interrupted; run the same command without --fresh to go on" in errors
    assert srx_in(tmp_path, command).returncode == 0
    assert len(before) == 2
    assert all(file.stat().st_mtime_ns > then for file, then in before.items())


def test_after_ctrl_c_before_anything_is_afresh_the_same_command_is_to_be_run(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "splitreason_cli", "annotate", "--fresh"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while process.poll() is None and not any(tmp_path.glob("store/spool/*")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 130, errors
    assert b"interrupted; run the same command again to go on" in errors


def test_fresh_has_no_meaning_where_nothing_is_kept(srx):
    assert b"Leave out --out, --dataset and --fresh" in srx("build-sft", "--check", "--fresh").stderr
    assert srx("bench", "compare", "a", "b", "--fresh").returncode == 2
