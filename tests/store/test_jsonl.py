import gzip
import os
import threading

import orjson
import pytest
import zstandard

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
