import dataclasses
import os

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.errors import InputError, MachineError
from splitreason_cli.store.artifacts import RECORDS, Journal, Recipe, Store, folder_digest

RECIPE = Recipe("annotate", {"threshold": 0.7}, {"in": "abc"})


def publish(store, recipe=RECIPE, lines=(b'{"n":1}\n',)):
    with store.work(recipe) as work:
        Journal(work / RECORDS).append(list(lines))
        return store.publish(recipe, work, len(lines))


def test_the_same_recipe_finds_the_artifact_and_any_change_misses_it(tmp_path):
    store = Store(tmp_path)
    artifact = publish(store)
    assert store.find(RECIPE) == artifact
    for change in ({"stage": "bench"}, {"config": {"threshold": 0.8}}, {"inputs": {"in": "abd"}}):
        assert store.find(dataclasses.replace(RECIPE, **change)) is None


def test_the_key_does_not_depend_on_the_order_of_the_configuration():
    one, two = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert Recipe("bench", one, {}).key == Recipe("bench", two, {}).key


def test_unfinished_work_is_no_artifact(tmp_path):
    store = Store(tmp_path)
    with store.work(RECIPE) as work:
        Journal(work / RECORDS).append([b'{"n":1}\n'])
    assert store.find(RECIPE) is None
    assert store.artifacts() == []
    with store.work(RECIPE) as work:
        assert list(Journal(work / RECORDS).replay()) == [{"n": 1}]


@given(lines=st.lists(st.integers(-(2**63), 2**63), max_size=5), cut=st.integers(0, 200))
def test_a_journal_cut_anywhere_keeps_its_complete_lines(tmp_path_factory, lines, cut):
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    encoded = [orjson.dumps({"n": n}) + b"\n" for n in lines]
    data = b"".join(encoded)[:cut]
    path.write_bytes(data)
    journal = Journal(path)
    complete = data.count(b"\n")
    assert path.read_bytes() == b"".join(encoded[:complete])
    journal.append([b'{"n":"next"}\n'])
    assert [value["n"] for value in journal.replay()] == [*lines[:complete], "next"]


def test_a_journal_longer_than_a_block_is_cut_at_its_last_line(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b"1\n" + b"x" * 200_000)
    Journal(path)
    assert path.read_bytes() == b"1\n"


def test_a_key_may_be_shortened_but_must_be_one(tmp_path):
    store = Store(tmp_path)
    artifact = publish(store)
    assert store.get(artifact.info.key[:4]) == artifact
    publish(store, dataclasses.replace(RECIPE, config={}))
    with pytest.raises(InputError, match="2 artifacts"):
        store.get("")
    with pytest.raises(InputError, match="no artifact"):
        store.get("zz")


def test_garbage_is_what_nobody_has_written_to_for_long(tmp_path):
    store = Store(tmp_path)
    old, new = publish(store), publish(store, dataclasses.replace(RECIPE, config={}))
    for file in (old.path, *old.path.iterdir()):
        os.utime(file, (0, 0))
    assert store.garbage(1) == [old.path]
    assert store.remove(old.path) > 0
    assert store.artifacts() == [new]


def test_a_store_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="Point SRX_HOME at a folder that you may write"):
        Store(tmp_path / "file").folder("work")


def test_the_home_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SRX_HOME", str(tmp_path / "a"))
    assert Store.default().root == tmp_path / "a"
    monkeypatch.delenv("SRX_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "b"))
    assert Store.default().root == tmp_path / "b" / "srx"


def test_a_folder_digest_depends_on_names_and_contents_only(tmp_path):
    (tmp_path / "a").write_text("1")
    digest = folder_digest(tmp_path)
    os.utime(tmp_path / "a", (0, 0))
    (tmp_path / ".cache").write_text("x")
    assert folder_digest(tmp_path) == digest
    (tmp_path / "a").rename(tmp_path / "b")
    assert folder_digest(tmp_path) != digest
