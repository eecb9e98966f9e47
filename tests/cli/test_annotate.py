"""srx annotate as a user meets it: flags, pipes, interruptions."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from splitreason_cli.records.data import Trace
from splitreason_cli.store.jsonl import encode, write_atomically
from tests.cli.conftest import environment
from tests.scripted_endpoint import ScriptedEndpoint, hardest_lines, refusal, serving

COUNT = 40
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "traces_math500.jsonl"


def reasoning(number):
    return "\n".join(f"line {line} of trace {number} multiplies {number} by {line * line}" for line in range(12))


@pytest.fixture
def source(tmp_path):
    traces = [Trace(id=f"t{n}", problem=f"P{n}", answer="1", reasoning=reasoning(n)) for n in range(COUNT)]
    path = tmp_path / "traces.jsonl"
    write_atomically(path, map(encode, traces))
    return path


def flags(url, *more):
    return ["annotate", "--in", "traces.jsonl", "--annotator", "llm", "--base-url", url, "--model", "m", *more]


def ids(output):
    return [orjson.loads(line)["id"] for line in output.splitlines()]


def test_the_cost_and_the_tokens_are_shown_and_a_rerun_is_free(srx, source):
    with serving(ScriptedEndpoint()) as url:
        first = srx(*flags(url, "--price", "0.27/1.10", "--out", "a.jsonl"))
        again = srx(*flags(url))
    assert first.returncode == again.returncode == 0
    assert b"completion tokens, $0.0" in first.stderr
    assert b"already done: 40 records" in again.stderr
    assert again.stdout == (source.parent / "a.jsonl").read_bytes()
    assert ids(again.stdout) == [f"t{n}" for n in range(COUNT)]


def test_traces_that_fail_are_reported_and_the_exit_code_says_so(srx, source):
    bad = reasoning(3)
    with serving(ScriptedEndpoint(lambda text, call: "empty" if text == bad else "good")) as url:
        done = srx(*flags(url, "--out", "a.jsonl"))
        again = srx(*flags(url, "--out", "a.jsonl"))
    assert done.returncode == again.returncode == 4
    assert b"traces that could not be annotated: 1. A rerun tries them again" in done.stderr
    assert len(ids((source.parent / "a.jsonl").read_bytes())) == COUNT - 1
    (rejected,) = (source.parent / "a.jsonl.rejected.jsonl").read_bytes().splitlines()
    assert orjson.loads(rejected)["where"] == "traces.jsonl:4"


def test_a_spent_budget_delivers_what_is_done(srx, source):
    with serving(ScriptedEndpoint()) as url:
        done = srx(*flags(url, "--max-tokens-total", "5000", "--concurrency", "2", "--out", "a.jsonl"))
    assert done.returncode == 4
    assert b"stopped by --max-tokens-total" in done.stderr
    assert 0 < len(ids((source.parent / "a.jsonl").read_bytes())) < COUNT


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_and_repeats_at_most_the_calls_in_flight(srx, source, stop):
    # However slow this test is to send the signal, the run cannot end before.
    endpoint = ScriptedEndpoint(latency_seconds=0.3, hold_after=10)
    with serving(endpoint) as url:
        command = [sys.executable, "-m", "splitreason_cli", *flags(url, "--concurrency", "4", "--out", "a.jsonl")]
        home = source.parent
        process = subprocess.Popen(command, cwd=home, env=environment(home), stderr=subprocess.PIPE)
        deadline = time.monotonic() + 400
        while sum(endpoint.calls.values()) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(stop)
        endpoint.released = True
        _, stderr = process.communicate(timeout=400)
        before = sum(endpoint.calls.values())
        assert 10 <= before < COUNT
        assert not (home / "a.jsonl").exists()
        done = srx(*flags(url, "--concurrency", "4", "--out", "a.jsonl"))
    assert done.returncode == 0
    assert ids((home / "a.jsonl").read_bytes()) == [f"t{n}" for n in range(COUNT)]
    repeated = sum(endpoint.calls.values()) - COUNT
    if stop in (signal.SIGINT, signal.SIGTERM):
        # What was in flight had the time to end.
        assert (process.returncode, repeated) == (130, 0)
        assert b"run the same command again to go on" in stderr
    else:
        assert 0 <= repeated <= 4


def test_sigterm_in_the_background_of_a_script_lets_paid_calls_end_too(srx, source):
    endpoint = ScriptedEndpoint(hold_after=4)
    with serving(endpoint) as url:
        # What a shell without job control does to a command with an ampersand.
        ignoring = (
            "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
        )
        srx_command = [sys.executable, "-m", "splitreason_cli", *flags(url, "--concurrency", "4", "--out", "a.jsonl")]
        home = source.parent
        process = subprocess.Popen(
            [sys.executable, "-c", ignoring, *srx_command], cwd=home, env=environment(home), stderr=subprocess.PIPE
        )
        wait_for_calls(endpoint, 8)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        endpoint.released = True
        _, stderr = process.communicate(timeout=400)
        paid = sum(endpoint.calls.values())
        assert (process.returncode, paid) == (130, 8), stderr
        assert b"Traceback" not in stderr
        done = srx(*flags(url, "--out", "a.jsonl"))
    assert done.returncode == 0
    assert sum(endpoint.calls.values()) == COUNT


def wait_for_calls(endpoint, count):
    deadline = time.monotonic() + 400
    while sum(endpoint.calls.values()) < count and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("end", ["answered", "killed"])
def test_two_processes_with_one_store_pay_once_for_a_question(srx, source, end):
    endpoint = ScriptedEndpoint(hold_after=0)
    home = source.parent
    with serving(endpoint) as url:
        command = [sys.executable, "-m", "splitreason_cli", *flags(url)]

        def start(snap, concurrency):
            more = ["--snap", snap, "--concurrency", concurrency, "--out", f"{snap}.jsonl"]
            return subprocess.Popen([*command, *more], cwd=home, env=environment(home))

        first = start("word", "4")
        wait_for_calls(endpoint, 4)
        second = start("line", "8")
        # It asks about four other traces while it waits for those that the first one asks about.
        wait_for_calls(endpoint, 8)
        if end == "killed":
            first.kill()
            first.wait()
        endpoint.released = True
        assert second.wait(400) == 0
        assert end == "killed" or first.wait(400) == 0
    assert ids((home / "line.jsonl").read_bytes()) == [f"t{n}" for n in range(COUNT)]
    repeated = 4 if end == "killed" else 0
    assert sum(endpoint.calls.values()) == COUNT + repeated


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["typer", "splitreason_cli.cli.annotate", "splitreason_cli.annotating.annotate"])
def test_a_signal_while_srx_is_imported_shows_no_traceback(source, module, stop):
    interrupting = f"""
import importlib.abc, runpy, signal, sys

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            signal.raise_signal({int(stop)})

sys.meta_path.insert(0, Interrupting())
sys.argv = ["srx", "annotate", "--in", "traces.jsonl"]
runpy.run_module("splitreason_cli", run_name="__main__")
"""
    home = source.parent
    done = subprocess.run(
        [sys.executable, "-c", interrupting], cwd=home, env=environment(home), capture_output=True, check=False
    )
    assert done.returncode in (130, -stop), done.stderr
    assert b"Traceback" not in done.stderr


def test_an_import_that_fails_as_it_is_interrupted_counts_as_interrupted(source):
    failing = """
import runpy, sys
from splitreason_cli import cli

def interrupted(*arguments, **options):
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise ModuleNotFoundError("Could not import module") from None

cli.app = interrupted
cli.main()
"""
    home = source.parent
    done = subprocess.run(
        [sys.executable, "-c", failing], cwd=home, env=environment(home), capture_output=True, check=False
    )
    assert done.returncode == 130
    assert b"interrupted; run the same command again to go on" in done.stderr
    assert b"Traceback" not in done.stderr


def test_what_will_fail_again_is_asked_about_once_until_fresh(srx, source):
    bad = reasoning(3)
    refused = [True]

    def refuses(body):
        is_bad = refused[0] and bad in body["messages"][1]["content"]
        return refusal(400, "too long", code="context_length_exceeded") if is_bad else None

    endpoint = ScriptedEndpoint(refuses=refuses)
    with serving(endpoint) as url:
        first = srx(*flags(url, "--out", "a.jsonl"))
        other = srx(*flags(url, "--snap", "line", "--out", "a.jsonl"))
        assert len(endpoint.asked) == COUNT
        refused[0] = False
        assert srx(*flags(url, "--out", "a.jsonl")).returncode == 4
        fresh = srx(*flags(url, "--fresh", "--out", "a.jsonl"))
    assert first.returncode == other.returncode == 4
    assert b"1 of 40 records were rejected" in first.stderr
    assert (fresh.returncode, len(endpoint.asked)) == (0, COUNT + 1), "paid replies are kept"


def test_a_reader_that_has_seen_enough_ends_the_run(source):
    with serving(ScriptedEndpoint(latency_seconds=0.05)) as url:
        command = [sys.executable, "-m", "splitreason_cli", *flags(url, "--concurrency", "2")]
        home = source.parent
        process = subprocess.Popen(
            command, cwd=home, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert ids(process.stdout.readline()) == ["t0"]
        process.stdout.close()
        stderr = process.stderr.read()
        assert process.wait(400) == 0
    assert b"Traceback" not in stderr
    assert b"Unclosed" not in stderr


def test_snippets_made_elsewhere_are_placed(srx, source):
    lines = [orjson.dumps({"id": f"t{n}", "snippets": hardest_lines(reasoning(n))}) for n in range(COUNT - 1)]
    (source.parent / "s.jsonl").write_bytes(b"\n".join(lines))
    done = srx("annotate", "--in", "traces.jsonl", "--annotator", "snippets", "--snippets", "s.jsonl", "--snap", "line")
    assert done.returncode == 4
    assert ids(done.stdout) == [f"t{n}" for n in range(COUNT - 1)]
    first = orjson.loads(done.stdout.splitlines()[0])
    marked = [first["reasoning"][span["start"] : span["end"]] for span in first["spans"]]
    assert set("\n".join(marked).split("\n")) == set(hardest_lines(reasoning(0)))


def test_traces_without_spans_and_what_little_is_marked_are_told_with_the_reasons(srx, source):
    lines = [orjson.dumps({"id": f"t{n}", "snippets": ["the moon is made of cheese", "gone"]}) for n in range(COUNT)]
    (source.parent / "s.jsonl").write_bytes(b"\n".join(lines))
    command = [
        "annotate",
        "--in",
        "traces.jsonl",
        "--annotator",
        "snippets",
        "--snippets",
        "s.jsonl",
        "--out",
        "a.jsonl",
    ]
    for _ in range(2):
        done = srx(*command)
        assert done.returncode == 0, done.stderr
        said = done.stderr.decode()
        assert f"annotate: {COUNT} of {COUNT} traces have no span: {COUNT} every passage not found" in said
        assert f"less than half of the 20% asked for: of the passages, {2 * COUNT} not found" in said


def test_an_empty_answer_is_told_before_it_is_paid_for(srx, source):
    (source.parent / "traces.jsonl").write_bytes(orjson.dumps({"problem": "p", "reasoning": reasoning(0)}))
    with serving(ScriptedEndpoint()) as url:
        done = srx(*flags(url))
    assert done.returncode == 0
    assert b"traces.jsonl:1: there is neither an answer nor a response, so build-sft will drop it" in done.stderr


def test_rows_can_come_from_parquet_and_from_a_dataset_folder(srx, source):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "problem": f"P{n}",
            "answer": "1",
            "uuid": f"u{n}",
            "generations": [f"<think>{reasoning(n)}</think>1", "no"],
            "correctness_math_verify": [n != 1, False],
        }
        for n in range(3)
    ]
    folder = source.parent / "dataset"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    with serving(ScriptedEndpoint()) as url:
        common = ["--annotator", "llm", "--base-url", url, "--model", "m"]
        parquet = srx("annotate", "--in", "dataset/train.parquet", *common)
        hub = srx("annotate", "--in", "hf://dataset?split=train", *common)
    assert parquet.returncode == hub.returncode == 0, hub.stderr
    assert ids(parquet.stdout) == ids(hub.stdout) == ["u0-0", "u2-0"]
    assert b"1 rows without a wanted generation" in parquet.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--annotator", "llm"], 2, "--annotator llm needs --model and --base-url"),
        (["--annotator", "snippets"], 2, "--annotator snippets needs --snippets"),
        (["--shard", "3/3"], 2, "--shard: '3/3' is no part of a whole"),
        (["--small-url", "http://x"], 2, "--small-url and --big-url go together"),
        (["--model", "m"], 2, "--model belongs to another annotator. Add --annotator llm"),
        (["--annotator", "llm", "--model", "m", "--base-url", "localhost:1/v1"], 2, "does not begin with http://"),
        (
            ["--annotator", "llm", "--model", "m", "--base-url", "http://x", "--api-key-env", "sk-secret"],
            2,
            "takes the name of an environment variable",
        ),
        (
            ["--annotator", "llm", "--model", "m", "--base-url", "http://x", "--price", "1"],
            2,
            "--price: '1' is no pair",
        ),
        (["--annotator", "llm", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"], 7, "cannot connect"),
        (["--annotator", "snippets", "--snippets", "none.jsonl"], 3, "none.jsonl: no such file"),
        (["--in", "hf://?split=train"], 2, "names no dataset"),
        (["--in", "hf://some/where?part=train"], 2, "unknown part. Use split, name, revision"),
        (["--in", "broken.parquet"], 3, "broken.parquet: cannot read as parquet"),
    ],
)
def test_mistakes_are_one_line_with_a_remedy(srx, source, arguments, code, message):
    (source.parent / "broken.parquet").write_bytes(b"PAR1 no")
    where = [] if "--in" in arguments else ["--in", "traces.jsonl"]
    done = srx("annotate", *where, *arguments, "--max-retries", "0")
    assert done.returncode == code, done.stderr
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert b"sk-secret" not in done.stderr


@pytest.mark.skipif(not REAL.exists(), reason="the real traces lie beside the project")
def test_real_traces_pipe_through_to_training_examples(srx):
    with serving(ScriptedEndpoint()) as url:
        flags = ["--annotator", "llm", "--base-url", url, "--model", "m"]
        marked = srx("annotate", "--in", REAL, *flags)
        annotated = srx("annotate", "--in", REAL, *flags, "--no-thinking")
    assert (marked.returncode, len(ids(marked.stdout))) == (4, 75)
    assert b"rejected: 48 field 'generations' holds a solution without thinking, 3 " in marked.stderr
    assert (annotated.returncode, len(ids(annotated.stdout))) == (4, 122)
    built = srx("build-sft", stdin=annotated.stdout)
    assert built.returncode == 0
    assert built.stdout.count(b"</bigmodel>") > 122
