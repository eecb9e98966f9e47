"""What a user sees when something is wrong: one line, an exit code, and nothing lost."""

import resource
import shutil

import orjson
import pytest

from splitreason_cli.store.embedded import EMBEDDED_MODELS, MINI_TRACES

TRACE = {"id": "a", "problem": "p", "answer": "4", "reasoning": "one\ntwo"}
ANNOTATED = {**TRACE, "kind": "annotated_trace", "annotator": "x", "spans": [{"start": 0, "end": 3, "score": 1.0}]}


def lines(*values):
    return b"".join(value if isinstance(value, bytes) else orjson.dumps(value) + b"\n" for value in values)


def complaint(done, code):
    """The last line on standard error, after checking that there is no traceback."""
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.decode().splitlines() if line.startswith("error: ")]
    return line


def test_good_records_are_kept_and_bad_ones_quarantined_with_the_reason(srx, tmp_path):
    bad = [
        b'{"id":\n',
        lines({**ANNOTATED, "reasoning": 3}),
        b'{"id":"\xff"}\n',
        lines({**ANNOTATED, "spans": [{"start": 0, "end": 99, "score": 1.0}]}),
        lines({**ANNOTATED, "reasoning": "<bigmodel>x"}),
        b'{"id":"a","problem":NaN}\n',
        b'{"id":"' + b"x" * (20 * 2**20) + b'"}\n',
    ]
    (tmp_path / "in.jsonl").write_bytes(lines(ANNOTATED, *bad, {**ANNOTATED, "id": "b", "problem": "q"}))
    done = srx("build-sft", "--in", "in.jsonl", "--out", "out.jsonl")
    message = complaint(done, 4)
    assert message == "error: 7 of 9 records were rejected, see out.jsonl.rejected.jsonl. Correct them and rerun"
    kept = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert [record["id"] for record in kept] == ["a", "b"]
    rejected = [orjson.loads(line) for line in (tmp_path / "out.jsonl.rejected.jsonl").read_bytes().splitlines()]
    assert [record["where"] for record in rejected] == [f"in.jsonl:{n}" for n in range(2, 9)]
    assert "field 'reasoning': expected str, got int" in rejected[1]["reason"]
    assert rejected[4]["line"].startswith('{"id":"a"')


def test_strict_stops_at_the_first_bad_record(srx, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(lines(ANNOTATED, b"{\n"))
    message = complaint(srx("build-sft", "--in", "in.jsonl", "--out", "out.jsonl", "--strict"), 3)
    assert message.startswith("error: in.jsonl:2: broken JSON at column")
    assert not (tmp_path / "out.jsonl").exists()


def test_strict_stops_also_where_the_work_was_done_before(srx, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(lines(ANNOTATED, b"{\n"))
    assert srx("build-sft", "--in", "in.jsonl", "--out", "a.jsonl").returncode == 4
    message = complaint(srx("build-sft", "--in", "in.jsonl", "--out", "b.jsonl", "--strict"), 3)
    assert message.startswith("error: in.jsonl:2: broken JSON")
    assert not (tmp_path / "b.jsonl").exists()


def test_a_corrected_input_leaves_no_stale_quarantine(srx, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(lines(ANNOTATED, b"{\n"))
    assert srx("build-sft", "--in", "in.jsonl", "--out", "out.jsonl").returncode == 4
    (tmp_path / "in.jsonl").write_bytes(lines(ANNOTATED))
    assert srx("build-sft", "--in", "in.jsonl", "--out", "out.jsonl").returncode == 0
    assert not (tmp_path / "out.jsonl.rejected.jsonl").exists()


def test_a_trace_that_already_holds_tags_is_quarantined(srx, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(lines({**TRACE, "reasoning": "a </bigmodel> b"}, TRACE))
    complaint(srx("annotate", "--in", "in.jsonl", "--out", "out.jsonl"), 4)
    rejected = orjson.loads((tmp_path / "out.jsonl.rejected.jsonl").read_bytes())
    assert rejected["reason"].startswith("annotated already: --annotator given takes its spans")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the input is empty. Give at least one record"),
        (None, "no such file"),
    ],
)
def test_an_input_without_records_is_refused(srx, tmp_path, content, message):
    if content is not None:
        (tmp_path / "in.jsonl").write_bytes(content)
    assert message in complaint(srx("build-sft", "--in", "in.jsonl"), 3)


def test_a_record_of_another_kind_is_refused(srx):
    message = complaint(srx("annotate", "--strict", stdin=lines(ANNOTATED)), 3)
    assert message.startswith("error: <stdin>:1: expected a record of kind 'trace', got 'annotated_trace'")


@pytest.mark.parametrize("budget", ["-3%", "five", "101%"])
def test_a_budget_that_is_no_share_is_a_usage_error(srx, budget):
    message = complaint(srx("bench", "mini", f"--offload-budget={budget}"), 2)
    assert message.startswith(f"error: --offload-budget: '{budget}' is no share")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "aime99"], "'aime99' is no task and no file. Known tasks: mini"),
        (["bench", "mini", "--systems", "small,huge"], "unknown system 'huge'"),
        (["bench", "mini", "--systems", "random"], "Add split to --systems"),
        (["bench", "mini", "--samples", "4", "--temperature", "0"], "several greedy samples are the same sample"),
        (["bench", "mini", "--systems", "relay"], "Write relay(...)"),
        (["bench", "mini", "--systems", "split,relay(16"], "'relay(16' is no name"),
        (["bench", "mini", "--systems", "keyword"], "unknown system 'keyword'"),
        (["bench", "mini", "--systems", "clever(2)"], "unknown policy 'clever'"),
        (["bench", "mini", "--policy", "learned(0)"], "threshold must be more than 0, not 0"),
        (["bench", "mini", "--systems", ","], "no system to run"),
        (["bench", "aime24", "--systems", "oracle"], "task 'aime24' has no oracle"),
        (["bench", "mini", "--policy", "clever"], "--policy: unknown policy 'clever'"),
        (["bench", "mini", "--systems", "relay(a,b)"], "policy 'relay(a,b)': tokens must be a whole number, not 'a'"),
        (["bench", "mini", "--policy", "learned(x)"], "policy 'learned(x)': threshold must be a number, not 'x'"),
        (["bench", "mini", "--plot", "x.bmp"], "--plot: x.bmp is no .png"),
        (["bench", "mini", "--small", "http://127.0.0.1:9", "--small-key-env", "sk-123"], "takes the name of an env"),
        (["train", "sft", "--recipe", "grand"], "unknown recipe 'grand'. Known recipes: paper, mini"),
    ],
)
def test_flags_that_do_not_fit_are_usage_errors(srx, arguments, message):
    assert message in complaint(srx(*arguments), 2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a", "problem": "p", "answer": "1"}] * 2, "tasks.jsonl:2: id 'a' is that of tasks.jsonl:1 too"),
        ([{"id": "a", "problem": "p", "answer": ["1", "2"]}], "tasks.jsonl:1: field 'answer'"),
        ([{"id": "a", "problem": 7, "answer": "1"}], "tasks.jsonl:1: field 'problem'"),
        ([], "the input is empty"),
    ],
)
def test_problems_that_cannot_be_measured_on_are_named(srx, tmp_path, rows, message):
    (tmp_path / "tasks.jsonl").write_bytes(lines(*rows))
    assert message in complaint(srx("bench", "tasks.jsonl", "--systems", "small"), 3)


def test_models_that_cannot_be_loaded_are_named(srx, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(EMBEDDED_MODELS["mini-small"], bare)
    (bare / "model.safetensors").unlink()
    message = complaint(srx("annotate", "--in", MINI_TRACES, "--small", "bare"), 6)
    assert message.startswith("error: bare: the folder has no *.safetensors weights")
    (bare / "model.safetensors").write_bytes(b"no weights")
    assert "error: bare: cannot be loaded" in complaint(srx("annotate", "--in", MINI_TRACES, "--small", "bare"), 6)
    (bare / "config.json").unlink()
    assert "no config.json" in complaint(srx("annotate", "--in", MINI_TRACES, "--small", "bare"), 6)


def test_a_model_name_that_cannot_be_downloaded_is_named(srx, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    message = complaint(srx("annotate", "--in", MINI_TRACES, "--small", "nobody/nothing"), 6)
    assert "nobody/nothing: no such model folder, and no download" in message


def test_a_store_in_the_way_of_a_file_is_one_line(srx, tmp_path):
    (tmp_path / "store").touch()
    message = complaint(srx("build-sft", stdin=lines(ANNOTATED)), 5)
    assert "Point SRX_HOME at a folder that you may write" in message


def test_a_write_the_file_system_refuses_is_one_line_and_a_rerun_finishes(srx, tmp_path):
    many = lines(*({**ANNOTATED, "id": str(n), "problem": str(n), "reasoning": "x" * 500} for n in range(40)))
    (tmp_path / "in.jsonl").write_bytes(many)

    def cap():
        # A file that may not grow fails as a full disk does: with an OSError in the middle of a write.
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    message = complaint(srx("build-sft", "--in", "in.jsonl", "--out", "out.jsonl", preexec_fn=cap), 5)
    assert "cannot write (File too large)" in message
    assert not (tmp_path / "out.jsonl").exists()
    assert srx("build-sft", "--in", "in.jsonl", "--out", "out.jsonl").returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 40


def test_an_input_is_not_written_over(srx, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"problem": "1+5?", "reasoning": "hm", "answer": "6"}\n')
    done = srx("annotate", "--in", "rows.jsonl", "--out", "./rows.jsonl")
    assert done.returncode == 2
    assert b"is the input, and would be lost" in done.stderr
    assert path.read_text().startswith('{"problem"')
