import gzip
import re

import orjson
import pytest

from splitreason_cli.cli.charts import BAR_CHARACTERS, bar, number
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
MADE = {
    "snippets": {"kind": "snippets", "id": "a", "snippets": ["two", "three"]},
    "sft_conversation": {
        "kind": "sft_conversation",
        "id": "c",
        "split": "train",
        "messages": [{"role": "assistant", "content": "a<bigmodel>b</bigmodel>"}],
    },
}


def lines(*values):
    return b"".join(orjson.dumps(value) + b"\n" for value in values)


def records_of(kind):
    return lines(MADE[kind]) if kind in MADE else (SAMPLE_DATA / "records" / f"{kind}.jsonl").read_bytes()


def test_every_kind_has_statistics_in_text_and_json(srx):
    mixed = b"".join(records_of(kind) for kind in KINDS)
    done = srx("stats", stdin=mixed)
    assert done.returncode == 0, done.stderr
    headlines = [line.split(",")[0] for line in done.stdout.decode().splitlines() if re.search(r", \d+ record", line)]
    assert headlines == list(KINDS)
    assert b"\x1b[" not in done.stdout
    done = srx("stats", "--json", stdin=mixed)
    values = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [value["kind"] for value in values] == list(KINDS)
    assert all(value["charts"] or value["tallies"] for value in values)


def test_the_figure_comes_beside_what_is_printed(srx, tmp_path):
    done = srx("stats", "--json", "--png", "problems.png", stdin=records_of("problem"))
    assert done.stderr == b"histograms -> problems.png\n"
    assert orjson.loads(done.stdout)["records"] == 3
    assert (tmp_path / "problems.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_and_the_bars_of_annotated_traces(srx):
    text = srx("stats", stdin=lines(ANNOTATED, {**ANNOTATED, "spans": []})).stdout.decode()
    rows = {tuple(line.split()) for line in text.splitlines()}
    assert ("share", "in", "spans", "2", "0.115", "0.115", "0.0231", "0.208", "0", "0.231") in rows
    assert ("span,", "characters", "1", "3", "3", "3", "3", "3", "3") in rows
    assert "span position (share of length)" in text
    assert "█" in text


def test_empty_texts_and_no_spans_are_no_fault(srx):
    empty = {**ANNOTATED, "reasoning": "", "spans": []}
    done = srx("stats", "--png", "empty.svg", stdin=lines(empty))
    assert done.returncode == 0, done.stderr
    assert "share in spans" in done.stdout.decode()
    assert "nan" not in done.stdout.decode()


def test_malformed_records_are_named(srx):
    bad = {"kind": "sft_example", "id": "bad-7", "split": "test", "prompt": [], "completion": "a<bigmodel>"}
    done = srx("stats", stdin=lines({**bad, "id": "fine", "completion": "a"}, bad))
    assert done.returncode == 0, done.stderr
    assert "1 malformed, left out of the measures:" in done.stdout.decode()
    assert "bad-7: unclosed: the last <bigmodel> is never closed" in done.stdout.decode()


def test_text_of_records_is_never_read_as_markup_of_the_terminal_library(srx):
    rejected = {"kind": "rejected", "where": "x:1", "reason": "[red]odd[/] [link=y]", "line": ""}
    assert "[red]odd[/] [link=y]" in srx("stats", stdin=lines(rejected)).stdout.decode()


def test_a_compressed_file_is_read(srx, tmp_path):
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(lines(ANNOTATED)))
    assert "annotated_trace, 1 record\n" in srx("stats", "in.jsonl.gz").stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        ([], b"", 3, "error: <stdin>: the input is empty. Give at least one record"),
        ([], lines(ANNOTATED) + b"{\n", 3, "error: <stdin>:2: broken JSON"),
        (["nothing.jsonl"], b"", 3, "error: nothing.jsonl: no such file"),
        (["--png", "a.gif"], lines(ANNOTATED), 2, "error: a.gif: no figure format '.gif'. Give a name that ends in"),
        (["--png", "/dev/null/a.png"], lines(ANNOTATED), 5, "error: /dev/null/a.png: cannot write"),
    ],
)
def test_what_cannot_be_done_is_one_line(srx, arguments, stdin, code, message):
    done = srx("stats", *arguments, stdin=stdin)
    assert done.returncode == code
    assert done.stderr.decode().startswith(message)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.04749, "0.0475"),
        (0.00008, "8e-05"),
        (94.6667, "94.67"),
        (9999, "9999"),
        (12345, "12.35k"),
        (999_960, "1M"),
        (413_901, "413.9k"),
        (-2.5e9, "-2.5G"),
        (1e30, "1e+30"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_a_bar_is_in_proportion_and_never_hides_what_is_there():
    assert bar(1) == "█" * BAR_CHARACTERS
    assert bar(0.5) == "█" * (BAR_CHARACTERS // 2)
    assert bar(1e-9) == "▏"
    assert bar(0) == bar(-1) == ""
