"""The paper's published rows, and other tagged texts, through the commands. Nothing is asked of anyone."""

from pathlib import Path

import orjson
import pytest

from splitreason_cli.records import markup
from tests.cli.test_pipeline import shell
from tests.layouts.test_marked import BOTH, published, tagged

CASE = Path(__file__).parents[2].parent / "shared" / "cases" / "B10_splitreason_dataset.jsonl"
HIGHLIGHTED = "Let me see: ⟦12*12 = 144.⟧\n⟦Is 144 a square?⟧ Yes.\nDone.\n</think>\n\nSo \\boxed{144}."
UNCLOSED = tagged(passages=["Yes."], closing="")


def write(folder, *rows):
    path = folder / "in.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def test_published_rows_are_annotated_built_and_shown(tmp_path):
    write(tmp_path, published())
    command = "srx annotate --annotator given --in in.jsonl | srx build-sft | srx show"
    done = shell(f"set -o pipefail; {command}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert HIGHLIGHTED in done.stdout.decode()
    assert b"annotated <- annotated_generations" in done.stderr


@pytest.mark.skipif(not CASE.exists(), reason="needs the cases that users reported")
def test_the_row_that_a_user_reported_is_annotated_built_and_shown(tmp_path):
    command = f"srx annotate --annotator given --in {CASE} | srx build-sft | srx show"
    done = shell(f"set -o pipefail; {command}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "First we note ⟦17*3 = 51 and so on, so the sum of the digits is six.⟧\nWait" in done.stdout.decode()


def test_every_command_that_reads_traces_takes_them_as_they_are(srx, tmp_path):
    write(tmp_path, published())
    built = srx("build-sft", "--in", "in.jsonl", "--out", "sft.jsonl")
    assert built.returncode == 0, built.stderr
    (example,) = map(orjson.loads, (tmp_path / "sft.jsonl").read_bytes().splitlines())
    reasoning, spans = markup.parse(example["completion"].partition("\n</think>")[0])
    assert [reasoning[a:b] for a, b in spans] == [*BOTH]
    assert HIGHLIGHTED.partition("\n</think>")[0] in srx("show", "in.jsonl").stdout.decode()
    assert orjson.loads(srx("stats", "--json", "in.jsonl").stdout)["kind"] == "annotated_trace"
    simulated = srx("simulate", "in.jsonl", "--characters-per-token", "1", "--json")
    assert [orjson.loads(line)["spans"] for line in simulated.stdout.splitlines()] == [2] * 5, simulated.stderr
    for records in ("sft.jsonl", "in.jsonl"):
        checked = srx("build-sft", "--check", "--in", records, "--traces", "in.jsonl")
        assert b"checked 1 records: 1 fine, 0 rejected" in checked.stderr


def test_ids_that_repeat_are_told_apart_by_every_command_alike(srx, tmp_path):
    write(tmp_path, *(published(problem=problem) for problem in ("12*12?", "Twelve squared?", "144 = ?")))
    marked = srx("annotate", "--annotator", "given", "--in", "in.jsonl")
    built = srx("build-sft", "--in", "in.jsonl", "--out", "sft.jsonl")
    piped = srx("build-sft", stdin=marked.stdout)
    assert b"in.jsonl: 2 traces repeat an id, and got a number behind it" in marked.stderr
    assert b"in.jsonl: 2 traces repeat an id, and got a number behind it" in built.stderr
    assert piped.stdout == (tmp_path / "sft.jsonl").read_bytes()
    first, *others = (orjson.loads(line)["id"] for line in piped.stdout.splitlines())
    assert others == [f"{first}#2", f"{first}#3"]
    checked = srx("build-sft", "--check", "--in", "sft.jsonl", "--traces", "in.jsonl")
    assert b"checked 3 records: 3 fine, 0 rejected" in checked.stderr


def test_commands_that_want_problems_read_them_from_tagged_rows(srx, tmp_path):
    write(tmp_path, published(), published(problem="And 13*13?", answer=169, uuid="v"))
    small = ("--systems", "small", "--small", "mini-small", "--max-tokens", "4", "--samples", "1")
    for flags in (small, ("--from", "in.jsonl")):
        done = srx("bench", "in.jsonl", *flags, "--generations", "-")
        assert done.returncode == 0, done.stderr
        made = [orjson.loads(line) for line in done.stdout.splitlines()]
        assert [(one["problem"], one["answer"]) for one in made] == [("12*12?", "144"), ("And 13*13?", "169")]


def test_training_on_tagged_rows_names_the_step_before_it(srx, tmp_path):
    write(tmp_path, published())
    done = srx("train", "sft", "--in", "in.jsonl", "--model", "mini-small", "--out", "model")
    assert done.returncode == 3
    assert b"in.jsonl:1: a row with problem, " in done.stderr
    assert b"is no training example. Build them of it first: srx build-sft" in done.stderr


def test_broken_rows_are_counted_by_sort_and_the_others_are_kept(srx, tmp_path):
    nested = published(annotated_generations=[tagged(closing="")], uuid="n")
    broken = [published(annotated_generations=[UNCLOSED], uuid=f"u{n}") for n in range(3)]
    write(tmp_path, published(), nested, *broken)
    for command in (["annotate", "--annotator", "given"], ["build-sft", "--no-dedup"]):
        done = srx(*command, "--in", "in.jsonl", "--out", "out.jsonl")
        assert done.returncode == 4
        assert b"rejected: 3 unclosed, 1 nested\n" in done.stderr
        assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 1
        assert len((tmp_path / "out.jsonl.rejected.jsonl").read_bytes().splitlines()) == 4
    checked = srx("build-sft", "--check", "--in", "in.jsonl")
    assert checked.returncode == 4
    assert b"rejected: 3 unclosed, 1 nested\n" in checked.stderr
    shown = srx("show", "in.jsonl")
    assert shown.returncode == 3
    assert b"in.jsonl:2: nested: " in shown.stderr


def test_tags_of_other_people_are_given_by_a_flag(srx, tmp_path):
    write(tmp_path, {"problem": "p", "answer": "1", "reasoning": "a <hard>b</hard> c"})
    for command in (["annotate", "--annotator", "given"], ["build-sft"]):
        done = srx(*command, "--tags", "<hard>,</hard>", "--in", "in.jsonl")
        assert done.returncode == 0, done.stderr
    assert "a <bigmodel>b</bigmodel> c" in orjson.loads(done.stdout)["completion"]
    checked = srx("build-sft", "--check", "--tags", "<hard>,</hard>", "--in", "in.jsonl")
    assert b"checked 1 records: 1 fine, 0 rejected" in checked.stderr
    refused = srx("annotate", "--annotator", "given", "--tags", "<hard>", "--in", "in.jsonl")
    assert refused.returncode == 2
    assert b"--tags: '<hard>' is no pair of tags" in refused.stderr


def test_another_annotator_refuses_marked_rows_in_one_line(srx, tmp_path):
    write(tmp_path, published())
    done = srx("annotate", "--in", "in.jsonl")
    assert done.returncode == 3
    assert done.stdout == b""
    assert b"annotated already: --annotator given takes its spans" in done.stderr


def test_a_tokenizer_belongs_to_labelled_tokens(srx, tmp_path):
    write(tmp_path, published())
    done = srx("annotate", "--annotator", "given", "--tokenizer", "mini-small", "--in", "in.jsonl")
    assert done.returncode == 2
    assert b"--tokenizer belongs to another annotator. Add --annotator divergent" in done.stderr
