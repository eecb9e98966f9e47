import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.errors import MachineError
from splitreason_cli.store import disk_map
from splitreason_cli.store.disk_map import DiskMap

STEPS = st.lists(st.tuples(st.sampled_from(["set", "add"]), st.binary(max_size=3), st.binary(max_size=3)))


@given(STEPS)
def test_it_is_a_map(steps):
    found, model = DiskMap(), {}
    for step, key, value in steps:
        assert found.get(key) == model.get(key)
        if step == "set":
            found[key] = model[key] = value
        else:
            found.add(key, value)
            model.setdefault(key, value)
    assert {key: found.get(key) for key in model} == model
    assert all((key in found) == (key in model) for key in [b"", b"\0", b"none", *model])


def test_what_does_not_fit_the_cache_lies_on_disk_and_is_found():
    found = DiskMap()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(60_000):
        found[b"key %d" % number] = b"%d" % number * 200
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2 * disk_map.CACHE_KIB, "60 MB do not stay in memory"
    assert all(found.get(b"key %d" % number) == b"%d" % number * 200 for number in range(0, 60_000, 997))


def test_two_maps_do_not_know_each_other():
    one, two = DiskMap(), DiskMap()
    one.add(b"x")
    assert b"x" in one
    assert b"x" not in two


def test_a_full_disk_is_one_line():
    found = DiskMap()
    found._run("PRAGMA max_page_count = 10")
    with pytest.raises(MachineError, match=r"temporary files: database or disk is full. Free some space"):
        found.add(b"key", b"x" * 100_000)
