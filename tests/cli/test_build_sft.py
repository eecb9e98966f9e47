"""srx build-sft as a user meets it: what it says, where it leaves things, what it exits with."""

import shutil

import datasets
import orjson
import pytest

from splitreason_cli.store.embedded import EMBEDDED_MODELS, SAMPLE_DATA
from tests import chat_templates
from tests.cli.test_bad_input import complaint, lines
from tests.cli.test_pipeline import shell

SAMPLES = SAMPLE_DATA / "records"


def trace(number, problem=None, **changes):
    return {
        "kind": "annotated_trace",
        "id": str(number),
        "problem": problem or f"problem {number}",
        "answer": "4",
        "reasoning": "one two",
        "annotator": "x",
        "spans": [{"start": 4, "end": 7, "score": 1.0}],
        **changes,
    }


def written(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_drops_are_named_and_listed_and_do_not_change_the_exit_code(srx, tmp_path):
    (tmp_path / "aime24.jsonl").write_bytes(lines({"id": 60, "problem": "How many rooks?", "answer": "8"}))
    data = lines(
        *map(trace, range(3)),
        trace(3, "PROBLEM  1"),
        trace(4, "How many rooks, asks Bob?"),
        trace(5, response="x" * 99),
    )
    arguments = ["build-sft", "--decontaminate", "aime24.jsonl", "--tokenizer", "mini-small", "--max-tokens", "90"]
    for _ in range(2):
        done = srx(*arguments, stdin=data)
        assert done.returncode == 0, done.stderr
        assert [orjson.loads(line)["id"] for line in done.stdout.splitlines()] == ["0", "1", "2"]
        (line,) = [line for line in done.stderr.decode().splitlines() if line.startswith("dropped: ")]
        assert line.startswith("dropped: 1 repeated problem, 1 found in aime24.jsonl, 1 over 90 tokens; see ")
        listed = written(tmp_path / line.partition("; see ")[2])
        assert [entry["where"] for entry in listed] == ["<stdin>:4", "<stdin>:5", "<stdin>:6"]
    assert b"already done" in done.stderr


def test_no_empty_box_is_taught_and_what_was_dropped_is_said(srx):
    data = lines(trace(0, answer=""), trace(1, response="\\boxed{}"), trace(2))
    done = srx("build-sft", stdin=data)
    assert done.returncode == 0
    assert b"boxed{}" not in done.stdout
    assert b"dropped: 2 without an answer; see " in done.stderr
    assert "checked 3 records: 1 fine, 2 rejected" in complaint(srx("build-sft", "--check", stdin=data), 4)


def test_a_template_that_does_not_fit_is_one_line_for_both_building_and_checking(srx, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(EMBEDDED_MODELS["mini-small"] / name, tmp_path)
    (tmp_path / "chat_template.jinja").write_text(chat_templates.OPENS_NONE)
    assert "Add --think" in complaint(srx("build-sft", "--tokenizer", ".", stdin=lines(trace(0))), 2)
    built = srx("build-sft", stdin=lines(trace(0))).stdout
    assert "1 rejected" in complaint(srx("build-sft", "--check", "--tokenizer", ".", stdin=built), 4)
    (tmp_path / "chat_template.jinja").write_text(chat_templates.FAILS)
    for more in ((), ("--check",)):
        said = complaint(srx("build-sft", "--tokenizer", ".", *more, stdin=built if more else lines(trace(0))), 6)
        assert "the chat template fails (roles must alternate in)" in said


def test_nothing_is_said_about_drops_where_there_are_none(srx):
    assert b"dropped" not in srx("build-sft", stdin=lines(trace(0))).stderr


def test_a_data_set_is_written_beside_the_records_and_loads(srx, tmp_path):
    data = lines(*map(trace, range(60)), {**trace(60), "spans": [{"start": 0, "end": 99, "score": 1.0}]})
    done = srx("build-sft", "--dataset", "made/set", "--test-fraction", "20%", "--out", "sft.jsonl", stdin=data)
    assert "1 of 61 records were rejected" in complaint(done, 4)
    loaded = datasets.load_dataset(str(tmp_path / "made" / "set"), cache_dir=str(tmp_path / "cache"))
    assert f"data set: made/set, {len(loaded['train'])} rows to train, {len(loaded['test'])} to test" in (
        done.stderr.decode()
    )
    records = written(tmp_path / "sft.jsonl")
    for split in ("train", "test"):
        assert loaded[split]["id"] == [record["id"] for record in records if record["split"] == split]
    assert "| quarantined as malformed | 1 |" in (tmp_path / "made" / "set" / "README.md").read_text()


def test_a_folder_of_something_else_is_refused_before_any_work(srx, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    message = complaint(srx("build-sft", "--dataset", "mine", stdin=lines(trace(0))), 3)
    assert message == (
        "error: mine: holds thesis.tex, so it is no data set to write over. Give another folder, or empty it"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-tokens", "9"], "--max-tokens needs a tokenizer to count with. Add --tokenizer"),
        (["--traces", "t.jsonl"], "--traces is only compared with under --check"),
        (["--check", "--out", "x.jsonl"], "--check writes no records"),
        (["--check", "--dataset", "x"], "--check writes no records"),
        (["--check", "--traces", "-"], "--traces cannot be standard input"),
    ],
)
def test_flags_that_do_not_go_together_are_usage_errors(srx, arguments, message):
    assert message in complaint(srx("build-sft", *arguments, stdin=lines(trace(0))), 2)


def test_what_is_no_tokenizer_is_one_line(srx):
    assert "README.md: is a file" in complaint(
        srx("build-sft", "--tokenizer", SAMPLE_DATA / "README.md", stdin=lines(trace(0))), 6
    )


@pytest.mark.parametrize("layout", ["prompt-completion", "messages"])
def test_the_check_ends_a_pipe_and_finds_nothing_in_what_was_just_built(tmp_path, layout):
    (tmp_path / "in.jsonl").write_bytes(lines(*map(trace, range(30))))
    command = f"srx build-sft --in in.jsonl --format {layout} | srx build-sft --check --traces in.jsonl"
    done = shell(f"set -o pipefail; {command}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    assert b"checked 30 records: 30 fine, 0 rejected\n" in done.stderr


def test_the_check_names_the_first_faults_and_counts_the_rest(srx, tmp_path):
    good = (SAMPLES / "sft_example.jsonl").read_bytes()
    bad = good.splitlines(keepends=True)[0].replace(b"</bigmodel>\\n", b"\\n")
    (tmp_path / "in.jsonl").write_bytes(good + bad * 23)
    done = srx("build-sft", "--check", "--in", "in.jsonl")
    assert done.stdout == b""
    said = done.stderr.decode().splitlines()
    assert said[0] == f"in.jsonl:4: {said[0].partition(': ')[2]}"
    assert "is never closed" in said[0]
    assert said[20:] == ["and 3 more", "rejected: 23 unclosed", complaint(done, 4)]
    assert said[22] == "error: checked 26 records: 3 fine, 23 rejected. Correct them and check again"


def test_a_strict_check_stops_at_the_first_fault(srx):
    good = (SAMPLES / "annotated_trace.jsonl").read_bytes()
    message = complaint(srx("build-sft", "--check", "--strict", stdin=good + b"{\n" + good), 3)
    assert message.startswith("error: <stdin>:4: broken JSON")


def test_a_check_of_nothing_is_an_error(srx):
    assert "<stdin>: the input is empty" in complaint(srx("build-sft", "--check", stdin=b""), 3)
