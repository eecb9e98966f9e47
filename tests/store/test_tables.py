"""Data sets in the layout of the Hub: files that differ in their columns, and whatever else is wrong with them."""

import gzip

import datasets
import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet

from splitreason_cli.errors import InputError
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.jsonl import decode
from splitreason_cli.store.source import Source

PLAIN = {"id": "0", "problem": "p"}
DIFFERENT = [
    ({"note": None, "tags": []}, {"note": "text", "tags": ["a"]}),
    ({"answer": 4}, {"answer": "four"}),
    ({"answer": 4}, {"answer": 4.5}),
    ({"meta": {"a": 1}}, {"meta": {"a": 1, "b": "x"}}),
    ({"meta": {"a": {"b": 1}}}, {"meta": {"a": [1]}}),
    ({"messages": [{"role": "user"}]}, {"messages": [{"role": "user", "content": "x"}]}),
    ({}, {"only": "here"}),
    ({"when": "2024-01-01"}, {"when": "soon"}),
]
"""Columns of a first and of a second file."""


@pytest.fixture
def read(tmp_path, monkeypatch):
    """The rows of an address, and where they stood."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def rows(address):
        lines = list(Source.open(address, Store(tmp_path / "store")).lines())
        return [decode(line, dict) for line in lines], [line.where for line in lines]

    return rows


def jsonl(*rows):
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
@pytest.mark.parametrize("suffix", ["jsonl", "json", "jsonl.gz", "parquet"])
def test_files_that_differ_in_a_column_are_read_as_they_are(read, tmp_path, first, second, suffix):
    parts = [[{**PLAIN, **columns}] * 3 for columns in (first, second)]
    for number, part in enumerate(parts):
        path = tmp_path / "set" / f"train-{number}.{suffix}"
        if suffix == "parquet":
            parquet.write_table(pa.Table.from_pylist(part), path)
        else:
            data = jsonl(*part)
            path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    rows, places = read("hf://set")
    assert rows == [*parts[0], *parts[1]]
    assert places == [f"hf://set/train-{part}.{suffix}:{row}" for part in (0, 1) for row in (1, 2, 3)]


def test_a_struct_that_gains_a_field_in_the_middle_of_a_file_is_read(read, tmp_path):
    expected = [{**PLAIN, "meta": {"a": 1}}] * 3 + [{**PLAIN, "meta": {"a": 1, "b": "x"}}]
    (tmp_path / "set" / "train.jsonl").write_bytes(jsonl(*expected))
    assert read("hf://set?split=train")[0] == expected


def test_a_folder_and_files_may_be_links_as_in_the_cache_of_the_hub(read, tmp_path):
    (tmp_path / "blob").write_bytes(jsonl(PLAIN))
    (tmp_path / "set" / "train.jsonl").symlink_to("../blob")
    (tmp_path / "link").symlink_to("set")
    for name in ("set", "link", "./set/../link", str(tmp_path / "link")):
        rows, (place,) = read(f"hf://{name}")
        assert rows == [PLAIN]
        assert place.startswith("hf://")
        assert place.endswith("train.jsonl:1") or "blob" in place


def test_splits_configurations_and_other_formats_are_those_of_the_library(read, tmp_path):
    (tmp_path / "set" / "train.jsonl").write_bytes(jsonl({"n": 1}))
    (tmp_path / "set" / "test.jsonl").write_bytes(jsonl({"n": 2}))
    assert read("hf://set?split=test")[0] == [{"n": 2}]
    configs = "".join(f"- config_name: {name}\n  data_files: {name}.jsonl\n" for name in ("train", "test"))
    (tmp_path / "set" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    assert read("hf://set?name=test")[0] == [{"n": 2}]
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "train.csv").write_text("n,t\n1,x\n")
    assert read("hf://csv") == ([{"n": 1, "t": "x"}], ["hf://csv:1"])
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "train.json").write_bytes(b'[\n {"n": 1},\n {"n": 2}\n]')
    assert read("hf://list")[0] == [{"n": 1}, {"n": 2}]


def test_types_that_the_data_set_declares_are_kept(read, tmp_path):
    features = datasets.Features({"n": datasets.Value("string"), "j": datasets.Json()})
    made = datasets.Dataset.from_list([{"n": "1", "j": {"a": [1, "x"]}}], features=features)
    made.to_parquet(tmp_path / "set" / "train.parquet")
    assert read("hf://set")[0] == [{"n": "1", "j": {"a": [1, "x"]}}]
    (tmp_path / "set" / "train.parquet").unlink()
    (tmp_path / "set" / "train.jsonl").write_bytes(jsonl({"n": 1}))
    declared = "---\ndataset_info:\n  features:\n  - name: n\n    dtype: string\n---\n"
    (tmp_path / "set" / "README.md").write_text(declared)
    assert read("hf://set")[0] == [{"n": "1"}]


def broken(folder, name, data):
    (folder / name).write_bytes(data)


def not_utf8(folder):
    text = pa.array([b"x", b"\xed\xa0\x80"], pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"problem": text}), folder / "train.parquet")


@pytest.mark.parametrize(
    ("make", "address", "message"),
    [
        (lambda folder: None, "hf://set", "doesn't contain any data files"),
        (lambda folder: broken(folder, "train.parquet", b"PAR1 no"), "hf://set", "cannot read as parquet"),
        (lambda folder: broken(folder, "train.parquet", b""), "hf://set", "cannot read as parquet"),
        (not_utf8, "hf://set", "'utf-8' codec can't decode byte 0xed"),
        (lambda folder: broken(folder, "train.jsonl", jsonl(PLAIN)), "hf://set?split=dev", "Bad split: dev"),
        (lambda folder: broken(folder, "train.jsonl", jsonl(PLAIN)), "hf://set?name=x", "BuilderConfig 'x' not found"),
        (lambda folder: broken(folder, "train.jsonl.gz", b"no gzip"), "hf://set", "broken gzip data"),
        (lambda folder: broken(folder, "train.json", b'[{"a": 1}, {"a":'), "hf://set", ""),
        (lambda folder: broken(folder, "train.json", b'[{"a": 1}, 3]'), "hf://set", ""),
        (lambda folder: broken(folder, "train.csv", b'a,b\n1,2\n1,2,3,"\n'), "hf://set", ""),
        (lambda folder: broken(folder, "train.arrow", b"ARROW1 no"), "hf://set", ""),
        (lambda folder: broken(folder, "README.md", b"---\nconfigs: [3\n---\n"), "hf://set", ""),
        (lambda folder: None, "hf://owner/none", "hf://owner/none: "),
        (lambda folder: None, "hf://no folder/../x", ""),
    ],
)
def test_every_fault_is_one_line_that_names_the_data_set_and_a_remedy(read, tmp_path, make, address, message):
    make(tmp_path / "set")
    with pytest.raises(InputError) as caught:
        read(address)
    said = str(caught.value)
    assert message in said
    assert "hf://" in said or str(tmp_path) in said
    assert caught.value.hint
    assert "\n" not in said


def test_a_bad_line_is_one_bad_line(read, tmp_path):
    (tmp_path / "set" / "train.jsonl").write_bytes(jsonl(PLAIN) + b"{\n" + jsonl(PLAIN))
    lines = list(Source.open("hf://set", Store(tmp_path / "store")).lines())
    assert [line.where for line in lines] == [f"hf://set/train.jsonl:{number}" for number in (1, 2, 3)]


def test_a_folder_of_two_formats_is_refused_as_one_of_them_would_be_passed_over(read, tmp_path):
    (tmp_path / "set" / "a.jsonl").write_bytes(orjson.dumps(PLAIN))
    parquet.write_table(pa.Table.from_pylist([PLAIN]), tmp_path / "set" / "b.parquet")
    with pytest.raises(InputError, match=r"holds \.\w+ and \.\w+ files"):
        read("hf://set")
