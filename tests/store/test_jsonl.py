import gzip
import os
import threading

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.errors import InputError, MachineError, RecordError
from splitreason_cli.records.data import Problem
from splitreason_cli.store import jsonl

GOOD = b'{"id":"a","problem":"p","answer":"1"}\n'


def read(path):
    return [jsonl.decode(line, Problem.from_dict) for line in jsonl.read_lines(path)]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_what_is_written_is_read_again(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    records = [Problem(id=str(n), problem="é\n∑", answer="1") for n in range(3)]
    jsonl.write_atomically(path, map(jsonl.encode, records))
    assert read(path) == records


def test_equal_records_make_equal_gzip_files(tmp_path):
    for name in ("a.gz", "b.gz"):
        jsonl.write_atomically(tmp_path / name, iter([GOOD]))
    first, second = ((tmp_path / name).read_bytes() for name in ("a.gz", "b.gz"))
    assert first == second
    assert gzip.decompress(first) == GOOD


def test_blank_lines_count_but_are_no_records(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n" + GOOD + b"\n  \n" + GOOD)
    assert [line.where for line in jsonl.read_lines(path)] == [f"{path}:2", f"{path}:5"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + GOOD)
    assert [line.data for line in jsonl.read_lines(path)] == [GOOD, GOOD]


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("x.jsonl", GOOD.decode().encode("utf-16"), "is UTF-16. Save it as UTF-8"),
        ("x.json", b"[\n" + GOOD + b"]\n", "is one JSON array. Write one record per line"),
        ("x.json", b"[" + GOOD.strip() + b"]", "is one JSON array"),
        ("x.csv", b"problem,answer\n1+1?,2\n", "CSV is not read. Convert it to JSONL or parquet"),
    ],
)
def test_a_file_that_is_plainly_no_jsonl_is_one_line(tmp_path, name, data, complaint):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {complaint}")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b'{"id":', "broken JSON at column"),
        (b'{"id":"a","problem":"p","answer":NaN}', "without NaN or Infinity"),
        (b'{"id":"\xff"}', "byte 8 is not UTF-8. Save the file as UTF-8"),
        (b'{"id":"a\\ud800"}', r"column 9: half of a surrogate pair (\ud800), which is no character. Write text.enc"),
        (b'{"id":"\\uD83D\\uDE00 \\\\ud800 \\uDE00"}', r"column 29: half of a surrogate pair (\uDE00)"),
        ('{"é":"\\ud83d\\u0041"}'.encode(), r"column 7: half of a surrogate pair (\ud83d)"),
        (b'{"id":"\\ud83d\\ud83d\\ude00"}', r"column 8: half of a surrogate pair (\ud83d)"),
        (b'{"\\udfff":1}', r"column 3: half of a surrogate pair (\udfff)"),
        (b'{"id":"\xed\xa0\x80"}', "byte 8: half of a surrogate pair, which is no character"),
        (b'{"id":"\\ud800","x":', r"column 8: half of a surrogate pair (\ud800)"),
        (b'{"x":tru,"id":"\\ud800"}', "broken JSON at column"),
        (b"[1]", "a record is a JSON object, got list"),
        (b'{"id":"a","problem":"p"}', "field 'answer' is missing"),
        (b'{"id":"a","problem":"p","answer":1}', "field 'answer': expected str, got int"),
    ],
)
def test_a_bad_line_is_named_with_its_remedy(tmp_path, data, complaint):
    path = tmp_path / "x.jsonl"
    path.write_bytes(GOOD + data + b"\n")
    with pytest.raises(RecordError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_whole_surrogate_pair_is_one_character_and_a_double_backslash_none(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id":"\\ud83d\\ude00","problem":"\\\\ud800","answer":"\\u0041"}\n')
    assert read(path) == [Problem(id="😀", problem="\\ud800", answer="A")]


@given(st.text(st.characters(codec=None)))
def test_what_is_written_is_read_again_or_had_half_a_surrogate_pair(text):
    record = Problem(id=text, problem=text, answer="1", extra={"more": [{text: (text,)}]})
    line = jsonl.Line("x:1", jsonl.encode(record), is_too_long=False)
    again = jsonl.decode(line, Problem.from_dict)
    half = any("\ud800" <= character <= "\udfff" for character in text)
    assert half or again.problem == text
    assert ("\ufffd" in again.id) == ("\ufffd" in text) or half
    assert again.extra == {"more": [{again.id: [again.id]}]}


def test_the_remedy_for_half_a_surrogate_pair_is_one():
    remedy = jsonl._MEND.removeprefix("Write ").removesuffix(" in place of text")
    for text, mended in (("a\ud800", "a\ufffd"), ("\ud83d\ude00", "😀"), ("plain é", "plain é")):
        assert eval(remedy, {"text": text}) == mended


def test_a_line_over_the_limit_is_refused_and_the_next_is_read(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id":"' + b"x" * (20 * 2**20) + b'"}\n' + GOOD)
    long, good = jsonl.read_lines(path)
    with pytest.raises(RecordError, match=r":1: the line is longer than 16 MiB"):
        jsonl.decode(long, Problem.from_dict)
    assert jsonl.decode(good, Problem.from_dict).id == "a"
    assert len(long.rejected("x").line) == 2000


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("x.gz", b"no gzip", "broken gzip data"),
        ("x.gz", gzip.compress(GOOD * 99, mtime=0)[:40], "broken gzip data"),
        ("x.zst", b"no zstd", "broken zstd data"),
        ("x.zst", zstandard.compress(orjson.dumps("x" * 999))[:-9] + b"123456789", "broken zstd data"),
    ],
)
def test_broken_compression_is_one_line(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        list(jsonl.read_lines(tmp_path / name))


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        list(jsonl.read_lines(tmp_path / "none"))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"old")

    def chunks():
        yield b"new"
        raise OSError(28, "No space left on device")

    with pytest.raises(MachineError, match=r"cannot write \(No space left on device\)"):
        jsonl.write_atomically(path, chunks())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real.jsonl")
    jsonl.write_atomically(tmp_path / "link", iter([b"{}\n"]))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.jsonl").read_bytes() == b"{}\n"
    os.mkfifo(tmp_path / "pipe")
    seen = []
    reader = threading.Thread(target=lambda: seen.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    jsonl.write_atomically(tmp_path / "pipe", iter([b"1\n", b"2\n"]))
    reader.join(30)
    assert seen == [b"1\n2\n"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'\n\n[\n{"a": 1}\n]', "is one JSON array"),
        (b'[ {"a": 1}]', "is one JSON array"),
        (b'{\n  "a": 1\n}\n', "its records go over several lines"),
        ('{"a": 1}\n'.encode("utf-16-le"), "is UTF-16"),
        (b"\x1f\x8b\x08\x00", "is gzip data"),
        (b"PAR1\x15\x04", "is a parquet file"),
    ],
)
def test_a_file_that_is_plainly_no_jsonl_is_named_for_what_it_is(tmp_path, data, what):
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    with pytest.raises(InputError, match=what):
        list(jsonl.read_lines(path))
