from array import array

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.showing import numbers
from splitreason_cli.showing.numbers import Numbers

PARTS = st.lists(st.lists(st.floats(allow_nan=False), max_size=9), max_size=9)


@given(PARTS, st.integers(1, 9))
def test_all_numbers_come_back_in_order_however_many_are_held_in_memory(parts, in_memory):
    numbers.IN_MEMORY, before = in_memory, numbers.IN_MEMORY
    try:
        held, expected = Numbers(), array("d")
        for part in parts:
            held.extend(part)
            expected.extend(part)
            assert held.values().tolist() == expected.tolist()
    finally:
        numbers.IN_MEMORY = before


def test_numbers_beyond_the_limit_are_in_a_file():
    held = Numbers()
    for start in range(0, 4 * numbers.IN_MEMORY, 1000):
        held.extend(range(start, start + 1000))
        assert len(held._last) < numbers.IN_MEMORY
    assert held.values().dtype == np.float64
    assert np.array_equal(held.values(), np.arange(len(held.values())))
