import re

import datasets
import orjson
import pytest
from huggingface_hub import DatasetCard

from splitreason_cli.dataset import hub as hub_dataset
from splitreason_cli.dataset.hub import refuse_foreign, write_dataset
from splitreason_cli.dataset.selection import Selection
from splitreason_cli.dataset.sft import KIND_OF, BuildSftConfig, Format
from splitreason_cli.errors import InputError
from splitreason_cli.records.data import AnnotatedTrace, HardSpan
from splitreason_cli.store.artifacts import RECORDS, Recipe, Store
from splitreason_cli.store.jsonl import encode
from tests.older_code import NO_CODE

FOLDERS = ["README.md", "data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"]


def traces(count):
    return [
        AnnotatedTrace(
            id=str(n),
            problem=str(n),
            answer="4",
            reasoning="one two",
            annotator="surprisal",
            spans=(HardSpan(start=4, end=7, score=1.0),),
            extra={"source": n} if n % 2 else {},
        )
        for n in range(count)
    ]


@pytest.fixture
def write(tmp_path):
    """Write a data set of so many rows into `tmp_path/sets/mine`; returns the folder and the records."""

    def to_folder(count=40, into=tmp_path / "sets" / "mine", **settings):
        config = BuildSftConfig(**settings)
        selection = Selection(config)
        records = [selection.choose(trace) for trace in traces(count)]
        store = Store(tmp_path / "store")
        shown = {"max_tokens": None, "instruction": config.instruction, "decontaminate": ("/home/me/aime24.jsonl",)}
        recipe = Recipe("build_sft", shown, {"in": "a" * 64, "n": str(count), "layout": config.format}, NO_CODE)
        with store.work(recipe) as work:
            (work / RECORDS).write_bytes(b"".join(map(encode, records)))
            artifact = store.publish(recipe, work, len(records))
        selection.tally.repeated, selection.tally.found_in = 3, {"/home/me/aime24.jsonl": 2}
        write_dataset(into, artifact, selection.tally, KIND_OF[config.format])
        return into, records

    return to_folder


def contents(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def load(folder):
    return datasets.load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))


@pytest.mark.parametrize("layout", Format)
def test_the_datasets_library_loads_both_splits_with_all_rows(write, layout, monkeypatch):
    monkeypatch.setattr(hub_dataset, "BATCH_BYTES", 1000)
    folder, records = write(test_fraction=0.3, format=layout)
    assert contents(folder) == FOLDERS
    loaded = load(folder)
    rows = {split: list(loaded[split]) for split in ("train", "test")}
    for split, found in rows.items():
        expected = [orjson.loads(encode(record)) for record in records if record.split == split]
        assert len(expected) > 5
        for row, value in zip(found, expected, strict=True):
            extra = orjson.loads(row.pop("extra") or "{}")
            assert {"kind": KIND_OF[layout], "schema": 1, "split": split, **row, **extra} == value


@pytest.mark.parametrize(("fraction", "split"), [(0.0, "train"), (1.0, "test")])
def test_a_split_without_rows_is_left_out_as_it_could_not_be_loaded(write, fraction, split):
    folder, _ = write(test_fraction=fraction)
    assert {name: len(rows) for name, rows in load(folder).items()} == {split: 40}


def test_no_data_set_is_written_without_rows(write, tmp_path):
    with pytest.raises(InputError, match="no record is left"):
        write(count=0)
    assert not (tmp_path / "sets").exists()


def test_the_card_says_how_the_data_was_made_without_the_folders_of_the_machine(write):
    folder, _ = write(test_fraction=0.3, instruction="Box it | now.")
    card = DatasetCard.load(folder / "README.md")
    assert card.data.size_categories == ["n<1K"]
    assert [entry["split"] for entry in card.data.configs[0]["data_files"]] == ["train", "test"]
    for line in (
        "| kept | 40 |",
        "| dropped, the problem of another trace | 3 |",
        "| dropped, found in aime24.jsonl | 2 |",
        "| quarantined as malformed | 0 |",
        "| surprisal | 40 |",
        f"| in | {'a' * 64} |",
        "| decontaminate | aime24.jsonl |",
        "| instruction | Box it \\| now. |",
        "| completion | string | the reasoning with its tags, the end of thinking, the response |",
        "42.9% of the reasoning's 280 characters lie inside 40 spans.",
    ):
        assert line in card.text
    assert "/home/me" not in card.text
    sizes = re.findall(r"^\| (?:train|test) \| (\d+) \|$", card.text, re.MULTILINE)
    assert sum(map(int, sizes)) == 40


def test_an_older_data_set_is_replaced_and_nothing_is_left_beside_it(write):
    folder, _ = write(count=40)
    write(count=7, test_fraction=0.5)
    assert sum(map(len, load(folder).values())) == 7
    assert sorted(path.name for path in folder.parent.iterdir()) == ["cache", "mine"]


def test_an_empty_folder_is_filled(write, tmp_path):
    (tmp_path / "empty").mkdir()
    folder, _ = write(into=tmp_path / "empty")
    assert contents(folder) == FOLDERS


@pytest.mark.parametrize("foreign", ["thesis.tex", "data/raw.jsonl", ".git/HEAD"])
def test_a_folder_with_anything_else_is_not_written_over(write, foreign):
    folder, _ = write()
    (folder / foreign).parent.mkdir(exist_ok=True)
    (folder / foreign).write_text("mine")
    with pytest.raises(InputError, match=re.escape(f"holds {foreign}, so it is no data set to write over")):
        write(count=7)
    assert (folder / foreign).read_text() == "mine"
    assert sum(path.suffix == ".parquet" for path in folder.rglob("*")) == 2


def test_a_card_of_somebody_else_and_a_file_are_not_written_over(tmp_path):
    (tmp_path / "README.md").write_text("# Mine")
    with pytest.raises(InputError, match="holds no card of build-sft"):
        refuse_foreign(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        refuse_foreign(tmp_path / "README.md")
    refuse_foreign(tmp_path / "new")
