import gzip

import orjson
import pytest

from splitreason_cli.cli.render import pieces, render
from splitreason_cli.records import markup
from splitreason_cli.records.data import KINDS
from splitreason_cli.store.embedded import SAMPLE_DATA

ANNOTATED = {
    "kind": "annotated_trace",
    "id": "a",
    "problem": "p",
    "answer": "4",
    "reasoning": "one\ntwo\nthree",
    "annotator": "x",
    "spans": [{"start": 4, "end": 7, "score": 1.0}],
}


def test_spans_are_bracketed_where_there_is_no_colour(srx):
    done = srx("show", stdin=orjson.dumps(ANNOTATED))
    assert "one\n⟦two⟧\nthree" in done.stdout.decode()
    assert "1 spans, 23.1% of the characters" in done.stdout.decode()
    assert b"\x1b[" not in done.stdout


def test_markup_of_the_terminal_library_in_a_trace_is_plain_text(srx):
    done = srx("show", stdin=orjson.dumps({**ANNOTATED, "problem": "[bold]x[/] [link=y]"}))
    assert "[bold]x[/] [link=y]" in done.stdout.decode()


def test_one_record_can_be_chosen(srx):
    data = b"".join(orjson.dumps({**ANNOTATED, "id": f"r{n}"}) + b"\n" for n in range(5))
    assert srx("show", "--id", "r3", stdin=data).stdout.decode().count("annotated_trace r") == 1
    assert srx("show", "-n", "2", stdin=data).stdout.decode().count("annotated_trace r") == 2
    done = srx("show", "--id", "r9", stdin=data)
    assert done.returncode == 3
    assert b"no record to show" in done.stderr


def test_a_very_long_trace_is_shown_whole(srx):
    long = "".join(f"line {n} " for n in range(6000))[:50_000]
    spans = [{"start": n, "end": n + 10, "score": 1.0} for n in range(0, 49_000, 100)]
    done = srx("show", stdin=orjson.dumps({**ANNOTATED, "reasoning": long, "spans": spans}))
    assert done.stdout.decode().count("⟦") == len(spans)


def test_a_sample_of_every_kind_ships_and_can_be_shown(srx):
    shipped = {path.stem for path in (SAMPLE_DATA / "records").glob("*.jsonl")}
    assert shipped == set(KINDS)
    for kind in KINDS:
        done = srx("show", SAMPLE_DATA / "records" / f"{kind}.jsonl")
        assert done.returncode == 0, done.stderr
        assert kind in done.stdout.decode()


def test_every_kind_has_a_rendering_of_its_fields():
    sample = (SAMPLE_DATA / "records" / "bench_result.jsonl").read_bytes().splitlines()[0]
    assert "pass_at_1" in str(render(KINDS["bench_result"].from_dict(orjson.loads(sample))))


def test_the_spans_of_a_conversation_are_bracketed(srx):
    tagged = f"<think>\none {markup.OPEN}two{markup.CLOSE}"
    messages = [{"role": "user", "content": "p"}, {"role": "assistant", "content": tagged}]
    record = {"kind": "sft_conversation", "id": "a", "split": "train", "messages": messages}
    assert "p\n\n<think>\none ⟦two⟧" in srx("show", stdin=orjson.dumps(record)).stdout.decode()
    assert srx("show", stdin=orjson.dumps({**record, "messages": []})).returncode == 0


def test_snippets_are_bracketed_one_below_the_other(srx):
    done = srx("show", stdin=orjson.dumps({"kind": "snippets", "id": "a", "snippets": ["one [x]", "two"]}))
    assert "2 snippets, hardest first\n\n⟦one [x]⟧\n⟦two⟧\n" in done.stdout.decode()


def test_the_steps_of_a_trainer_are_lines_of_one_table(srx):
    rows = [orjson.loads(line) for line in (SAMPLE_DATA / "records" / "grpo_step.jsonl").read_bytes().splitlines()]
    healthy = b"\n".join(orjson.dumps({**row, "warning": ""}) for row in rows)
    shown = srx("show", stdin=healthy).stdout.decode()
    assert shown.count("grpo_step") == 1
    assert [line.split()[0] for line in shown.splitlines()[-len(rows) - 1 :] if line.strip()] == ["1", "2", "3"]
    assert "never" not in shown
    collapsed = b"\n".join(orjson.dumps({**row, "warning": "it never hands over"}) for row in rows)
    assert srx("show", stdin=collapsed).stdout.decode().count("step 1: it never hands over") == 1


def test_pieces_cut_at_the_spans():
    assert pieces("abcdef", [(1, 3), (2, 4)]) == [("a", False), ("bcd", True), ("ef", False)]


def lines_of_samples(*kinds):
    return b"".join((SAMPLE_DATA / "records" / f"{kind}.jsonl").read_bytes() for kind in kinds)


def test_a_page_of_mixed_records_is_written_and_standard_output_stays_empty(srx, tmp_path):
    records = lines_of_samples("annotated_trace", "bench_result", "sft_example", "generation")
    (tmp_path / "mixed.jsonl.gz").write_bytes(gzip.compress(records))
    done = srx("show", "mixed.jsonl.gz", "--html", "deep/page.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    assert b"9 records -> deep/page.html" in done.stderr
    assert b"warning: 1 bench_result left out" in done.stderr
    page = (tmp_path / "deep" / "page.html").read_text(encoding="utf-8")
    assert "<h1>mixed.jsonl.gz</h1>" in page
    assert "3 annotated_trace, 3 sft_example, 3 generation" in page
    assert "srx show mixed.jsonl.gz --html deep/page.html" in page


def test_a_page_shows_no_more_than_was_asked_for(srx, tmp_path):
    data = b"".join(orjson.dumps({**ANNOTATED, "id": f"r{n}"}) + b"\n" for n in range(5))
    assert b"2 records ->" in srx("show", "-n", "2", "--html", "page.html", stdin=data).stderr
    assert b"1 records ->" in srx("show", "--id", "r3", "--html", "page.html", stdin=data).stderr
    assert "r3 marked by x" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert srx("show", "--id", "r9", "--html", "none.html", stdin=data).returncode == 3
    assert not (tmp_path / "none.html").exists()


BAD = b'{"kind": "annotated_trace", "id": 1}\n'


def test_bad_records_stand_beside_the_page_which_counts_them(srx, tmp_path):
    done = srx("show", "--html", "page.html", stdin=orjson.dumps(ANNOTATED) + b"\n{broken\n" + BAD)
    assert done.returncode == 4
    assert b"2 of 3 records were rejected, see page.html.rejected.jsonl" in done.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Rejected: 2 records, see page.html.rejected.jsonl" in page
    one = srx("show", "--id", "a", "--html", "page.html", stdin=orjson.dumps(ANNOTATED) + b"\n{broken\n" + BAD)
    assert b"error: 2 records were rejected" in one.stderr
    rejected = [orjson.loads(line) for line in (tmp_path / "page.html.rejected.jsonl").read_bytes().splitlines()]
    assert [one["where"] for one in rejected] == ["<stdin>:2", "<stdin>:3"]
    assert srx("show", "--html", "page.html", stdin=orjson.dumps(ANNOTATED)).returncode == 0
    assert not (tmp_path / "page.html.rejected.jsonl").exists()


def test_a_file_of_bad_records_alone_names_the_first_and_makes_no_page(srx, tmp_path):
    done = srx("show", "--html", "page.html", stdin=BAD)
    assert done.returncode == 3
    assert b"<stdin>:1: " in done.stderr
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("kind", ["bench_result", "latency", "train_step"])
def test_a_file_of_figures_alone_is_refused_by_name(srx, tmp_path, kind):
    done = srx("show", SAMPLE_DATA / "records" / f"{kind}.jsonl", "--html", "page.html")
    assert done.returncode == 3
    assert f"a {kind} holds no text".encode() in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_a_page_never_takes_the_place_of_what_it_shows(srx, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(orjson.dumps(ANNOTATED))
    (tmp_path / "link.jsonl").symlink_to(file)
    for name in ("a.jsonl", "link.jsonl", "./a.jsonl"):
        assert srx("show", "a.jsonl", "--html", name).returncode == 2
    assert file.read_bytes() == orjson.dumps(ANNOTATED)
    done = srx("show", "a.jsonl", "--html", "-")
    assert done.returncode == 2
    assert b"--html is a file" in done.stderr


def test_a_page_that_cannot_be_written_is_one_line(srx, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    done = srx("show", "--html", "file/page.html", stdin=orjson.dumps(ANNOTATED))
    assert b"cannot write" in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.returncode not in (0, 1)


GENERATED = {
    "problem": "1+5?",
    "generations": ["<think>\nhm\nyes\n</think>\n\n\\boxed{6}", "<think>\nand then"],
    "is_reasoning_complete": [True, False],
}


@pytest.mark.parametrize("command", ["show", "stats"])
def test_a_cut_generation_hides_none_of_the_others(srx, command):
    done = srx(command, stdin=orjson.dumps(GENERATED))
    assert done.returncode == 0, done.stderr
    assert b"trace" in done.stdout


@pytest.mark.parametrize("command", ["show", "stats"])
def test_columns_of_any_name_are_looked_at_too(srx, command):
    row = orjson.dumps({"frage": "1+5?", "denken": "hm\nyes"})
    done = srx(command, "--columns", "problem=frage", "--columns", "reasoning=denken", stdin=row)
    assert done.returncode == 0, done.stderr
    assert b"trace" in done.stdout
