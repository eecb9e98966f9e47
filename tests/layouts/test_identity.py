from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.layouts.identity import UniqueIds

names = st.lists(st.sampled_from(["a", "b", "a#2", "a#2#2", "b#3"]))


@given(names)
def test_ids_are_unique_and_the_first_of_each_stays(given_names):
    ids = UniqueIds()
    made = [ids.of(name) for name in given_names]
    assert len(set(made)) == len(made)
    assert all(one.startswith(name) for one, name in zip(made, given_names, strict=True))
    assert ids.repeated == sum(one != name for one, name in zip(made, given_names, strict=True))


@given(names, st.integers(0, 20))
def test_ids_depend_on_the_rows_before_them_alone(given_names, count):
    whole, part = UniqueIds(), UniqueIds()
    assert [whole.of(name) for name in given_names][:count] == [part.of(name) for name in given_names[:count]]
