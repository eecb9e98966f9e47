import re

import orjson
import pyarrow
import pyarrow.parquet
import pytest

from splitreason_cli.errors import InputError, RecordError, UsageError
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.tables import HubDataset
from splitreason_cli.tasks.named import TASKS
from splitreason_cli.tasks.tasks import read_task

ROWS = [{"id": n, "problem": f"{n}+1?", "answer": str(n + 1), "url": "u"} for n in (60, 61)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def write(path, *rows):
    path.write_bytes(b"".join(row if isinstance(row, bytes) else orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def test_mini_is_there_without_a_network(store, hub):
    task = read_task("mini", store)
    assert (task.name, len(task.problems), task.problems[0].id) == ("mini", 500, "mini-test-0000")


@pytest.mark.parametrize("name", sorted(set(TASKS) - {"mini"}))
def test_a_hub_task_that_is_not_here_says_in_one_line_how_to_get_it(store, hub, name):
    dataset = HubDataset.parse(TASKS[name].address)
    assert re.fullmatch(r"[0-9a-f]{40}", dataset.revision)
    with pytest.raises(InputError) as caught:
        read_task(name, store)
    message = str(caught.value)
    assert "\n" not in message
    assert f"hf download {dataset.path} --repo-type dataset --revision {dataset.revision}. Or" in message
    assert "--data FILE" in message


def test_a_downloaded_dataset_is_read_from_the_cache(store, hub):
    dataset = HubDataset.parse(TASKS["aime24"].address)
    folder = hub / f"datasets--{dataset.path.replace('/', '--')}" / "snapshots" / dataset.revision / "data"
    folder.mkdir(parents=True)
    (folder.parent / "README.md").touch()
    with pytest.raises(InputError, match="hf download"):
        read_task("aime24", store)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "train-00000-of-00001.parquet")
    task = read_task("aime24", store)
    assert [(problem.id, problem.answer) for problem in task.problems] == [("60", "61"), ("61", "62")]
    assert task.digest == f"{dataset.revision}/None/train"
    assert task.source == TASKS["aime24"].address


def test_a_file_takes_the_place_of_a_tasks_own_data(store, hub, tmp_path):
    task = read_task("aime24", store, data=write(tmp_path / "rows.jsonl", *ROWS))
    assert (task.name, [problem.id for problem in task.problems]) == ("aime24", ["60", "61"])
    assert task.problems[0].extra == {"url": "u"}


def test_any_file_or_folder_of_problems_is_a_task(store, tmp_path):
    file = write(tmp_path / "rows.jsonl", *ROWS)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder / "test.jsonl", *ROWS)
    tasks = [read_task(name, store) for name in (file, str(tmp_path / "rows.parquet"), f"hf://{folder}?split=test")]
    assert tasks[0].problems == tasks[1].problems == tasks[2].problems
    assert len({task.digest for task in tasks}) == 3


def test_the_digest_is_that_of_the_content(store, tmp_path):
    one, same, other = (
        read_task(write(tmp_path / name, *rows), store).digest
        for name, rows in (("a.jsonl", ROWS), ("b.jsonl", ROWS), ("c.jsonl", ROWS[:1]))
    )
    assert one == same != other


@pytest.mark.parametrize(
    ("rows", "place", "message"),
    [
        ([ROWS[0], {"id": 3, "frage": "?", "answer": "1"}], 2, "no column holds the problem; the row has id, frage"),
        ([{**ROWS[0], "answer": ["61", "62"]}], 1, "field 'answer': expected a text or a number, got a list of 2"),
        ([{**ROWS[0], "answer": None}], 1, "field 'answer': expected a text or a number, got null"),
        ([*ROWS, b"\n", ROWS[0]], 4, "id '60' is that of {file}:1 too. Give every problem an id of its own"),
        ([ROWS[0], {**ROWS[1], "id": "60"}], 2, "id '60' is that of {file}:1 too"),
        ([b"{"], 1, "broken JSON"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_field(store, tmp_path, rows, place, message):
    file = write(tmp_path / "rows.jsonl", *rows)
    with pytest.raises(RecordError) as caught:
        read_task(file, store)
    assert str(caught.value).startswith(f"{file}:{place}: {message.format(file=file)}")


def test_an_empty_file_is_no_task(store, tmp_path):
    with pytest.raises(InputError, match="the input is empty"):
        read_task(write(tmp_path / "rows.jsonl"), store)


def test_unknown_names_are_refused_with_the_known_ones(store, tmp_path):
    with pytest.raises(
        UsageError, match=r"'aime99' is no task and no file\. Known tasks: mini, aime24, aime25, math500"
    ):
        read_task("aime99", store)
    with pytest.raises(UsageError, match=r"'aime99' is no task\. Known tasks"):
        read_task("aime99", store, data=write(tmp_path / "rows.jsonl", *ROWS))
    with pytest.raises(UsageError, match=r"the problems of mini are embedded\. Give the file in the place of the task"):
        read_task("mini", store, data=write(tmp_path / "rows.jsonl", *ROWS))
