import contextlib
import dataclasses
import os

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.errors import InputError, MachineError
from splitreason_cli.records.data import Code
from splitreason_cli.store.artifacts import RECORDS, Recipe, Store
from splitreason_cli.store.digests import folder_digest
from splitreason_cli.store.journal import Journal, replay

CODE = Code(sources={"a.py": "1", "b.py": "1"}, libraries={"torch": "2.13.0"})
NEWER = Code(sources={"a.py": "1", "b.py": "2"}, libraries={"torch": "2.13.1"})
RECIPE = Recipe("annotate", {"threshold": 0.7}, {"in": "abc"}, CODE)
UPGRADED = dataclasses.replace(RECIPE, code=NEWER)


def publish(store, recipe=RECIPE, lines=(b'{"n":1}\n',)):
    with store.work(recipe) as work:
        Journal(work / RECORDS).append(list(lines))
        return store.publish(recipe, work, len(lines))


def test_the_same_recipe_finds_the_artifact_and_any_change_misses_it(tmp_path):
    store = Store(tmp_path)
    artifact = publish(store)
    assert store.find(RECIPE) == artifact
    for change in ({"stage": "bench"}, {"config": {"threshold": 0.8}}, {"inputs": {"in": "abd"}}, {"code": NEWER}):
        assert store.find(dataclasses.replace(RECIPE, **change)) is None


def test_the_key_does_not_depend_on_the_order_of_the_configuration():
    one, two = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert Recipe("bench", one, {}, CODE).key == Recipe("bench", two, {}, CODE).key


def test_unfinished_work_is_no_artifact(tmp_path):
    store = Store(tmp_path)
    with store.work(RECIPE) as work:
        Journal(work / RECORDS).append([b'{"n":1}\n'])
    assert store.find(RECIPE) is None
    assert store.artifacts() == []
    with store.work(RECIPE) as work:
        assert list(replay(work / RECORDS)) == [{"n": 1}]


def begin(store, recipe=RECIPE, line=b'{"n":1}\n'):
    """Leave unfinished work."""
    with store.work(recipe) as work:
        Journal(work / RECORDS).append([line])


def test_unfinished_work_of_older_code_is_gone_on_with_and_the_artifact_says_so(tmp_path):
    notes = []
    store = Store(tmp_path, notes.append)
    begin(store)
    begin(store)
    assert notes == []
    with store.work(UPGRADED) as work:
        assert list(replay(work / RECORDS)) == [{"n": 1}, {"n": 1}]
        artifact = store.publish(UPGRADED, work, 2)
    assert notes == ["going on with work that another version of srx began (changed: b.py; torch 2.13.0 -> 2.13.1)"]
    assert store.find(UPGRADED) == artifact
    assert store.find(RECIPE) is None
    assert (artifact.info.code, artifact.info.begun) == (NEWER.digest, (CODE,))
    assert sorted(path.name for path in artifact.path.iterdir()) == ["meta.json", "records.jsonl"]


def test_code_that_only_went_on_for_a_while_is_kept_in_mind(tmp_path):
    store = Store(tmp_path)
    begin(store)
    begin(store, UPGRADED)
    assert publish(store).info.begun == (NEWER,)


def test_work_that_never_got_anywhere_was_not_begun_by_anyone(tmp_path):
    notes = []
    store = Store(tmp_path, notes.append)
    with store.work(RECIPE):
        pass
    assert publish(store, UPGRADED).info.begun == ()
    assert notes == []


def test_work_that_does_not_say_who_began_it_is_not_gone_on_with(tmp_path):
    store = Store(tmp_path)
    begin(store)
    (store.work_path(RECIPE) / "begun.json").unlink()
    assert list(replay(publish(store, lines=[b'{"n":2}\n']).records)) == [{"n": 2}]


def test_two_versions_do_not_work_on_the_same_at_once(tmp_path):
    with (
        Store(tmp_path).work(RECIPE),
        pytest.raises(MachineError, match="another srx process"),
        Store(tmp_path).work(UPGRADED),
    ):
        pass


def test_afresh_nothing_is_taken_and_the_new_artifact_replaces_the_finished_one(tmp_path):
    old = publish(Store(tmp_path))
    begin(Store(tmp_path), line=b'{"n":2}\n')
    store = Store(tmp_path, fresh=True)
    assert store.find(RECIPE) is None
    new = publish(store, lines=[b'{"n":3}\n'])
    assert new.path == old.path
    assert list(replay(new.records)) == [{"n": 3}]
    assert store.find(RECIPE) == new, "what it has made itself is as fresh as can be"
    assert Store(tmp_path).find(RECIPE) == new
    assert list((tmp_path / "work").iterdir()) == []


def test_what_began_afresh_is_gone_on_with_and_the_finished_artifact_stays_until_then(tmp_path):
    old = publish(Store(tmp_path))
    begin(Store(tmp_path, fresh=True), line=b'{"n":2}\n')
    store = Store(tmp_path)
    assert store.find(RECIPE) is None
    assert store.get(old.info.key) == old
    new = publish(store, lines=[b'{"n":3}\n'])
    assert list(replay(new.records)) == [{"n": 2}, {"n": 3}]


def test_what_began_afresh_under_another_version_hides_only_its_own_artifact(tmp_path):
    older = publish(Store(tmp_path))
    begin(Store(tmp_path, fresh=True), UPGRADED)
    assert Store(tmp_path).find(RECIPE) == older
    publish(Store(tmp_path), UPGRADED)
    begin(Store(tmp_path, fresh=True), UPGRADED)
    assert Store(tmp_path).find(RECIPE) == older
    assert Store(tmp_path).find(UPGRADED) is None


def test_work_of_an_srx_that_did_not_say_what_it_replaces_is_not_gone_on_with(tmp_path):
    store = Store(tmp_path)
    begin(store)
    file = store.work_path(RECIPE) / "begun.json"
    file.write_bytes(orjson.dumps({**orjson.loads(file.read_bytes()), "replaces": True}))
    assert list(replay(publish(store, lines=[b'{"n":2}\n']).records)) == [{"n": 2}]


RUN, OTHER_RUN = (dataclasses.replace(RECIPE, config={"lineup": lineup}) for lineup in ("ab", "b"))
PARTS = [dataclasses.replace(RECIPE, config={"part": part}) for part in "ab"]


class CutOffError(Exception):
    """What ends a run before its time."""


def cut_off_afresh(root):
    """A run afresh that is killed after the first of its parts."""
    store = Store(root, fresh=True)
    with contextlib.suppress(CutOffError), store.run(RUN):
        publish(store, PARTS[0], [b'{"n":"new"}\n'])
        raise CutOffError


def test_a_run_that_began_afresh_is_afresh_to_its_end_whoever_goes_on_with_it(tmp_path):
    for part in PARTS:
        publish(Store(tmp_path), part)
    cut_off_afresh(tmp_path)
    begin(Store(tmp_path), dataclasses.replace(PARTS[1], code=NEWER))
    store = Store(tmp_path)
    with store.run(RUN):
        assert list(replay(store.find(PARTS[0]).records)) == [{"n": "new"}]
        assert store.find(PARTS[1]) is None
        begin(store, PARTS[1], b'{"n":"begun"}\n')
        new = publish(store, PARTS[1], [b'{"n":"new"}\n'])
        assert list(replay(new.records)) == [{"n": "begun"}, {"n": "new"}]
        assert store.find(PARTS[1]) == new
    assert Store(tmp_path).find(PARTS[1]) == store.find(PARTS[1]) == new
    with Store(tmp_path).run(RUN):
        assert Store(tmp_path).find(PARTS[0]) is not None
    assert list((tmp_path / "afresh").iterdir()) == []


def test_a_run_that_began_afresh_and_was_cut_off_hides_nothing_from_other_runs(tmp_path):
    old = publish(Store(tmp_path), PARTS[1])
    cut_off_afresh(tmp_path)
    store = Store(tmp_path)
    with store.run(OTHER_RUN):
        assert store.find(PARTS[1]) == old


def test_a_run_that_begins_afresh_again_takes_nothing_of_the_one_that_was_cut_off(tmp_path):
    cut_off_afresh(tmp_path)
    store = Store(tmp_path, fresh=True)
    with store.run(RUN):
        assert store.find(PARTS[0]) is None


def test_an_artifact_of_an_srx_that_kept_no_sources_can_be_read(tmp_path):
    store = Store(tmp_path)
    meta = publish(store).path / "meta.json"
    value = orjson.loads(meta.read_bytes())
    meta.write_bytes(
        orjson.dumps({name: value[name] for name in value if name not in ("sources", "libraries", "begun")})
    )
    info = store.get("").info
    assert (info.sources, info.libraries, info.begun) == ({}, {}, ())


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
    assert [value["n"] for value in replay(path)] == [*lines[:complete], "next"]


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


def test_garbage_that_a_process_works_on_is_left_to_it(tmp_path):
    store = Store(tmp_path)
    begin(store, dataclasses.replace(RECIPE, config={}))
    with store.work(RECIPE) as work:
        Journal(work / RECORDS).append([b'{"n":1}\n'])
        for path in store.garbage(-1):
            store.collect(path)
        assert [path.name for path in (tmp_path / "work").iterdir()] == [RECIPE.work_key]
        assert [path.name for path in (tmp_path / "locks").iterdir()] == [RECIPE.work_key]
        assert store.collect(work) is None
    assert store.collect(work) > 0
    assert list((tmp_path / "locks").iterdir()) == []


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
