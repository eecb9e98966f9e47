import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records.markup import covered, normalize
from splitreason_cli.showing.histograms import VALUE_BINS, add_positions, bin_edges, histogram, over_steps


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6), st.integers(40, 60), st.integers(1, 25))
def test_the_bins_hold_all_characters_of_the_spans(spans, length, count):
    spans = normalize(spans)
    bins = [0.0] * count
    add_positions(bins, spans, length)
    assert sum(bins) == pytest.approx(covered(spans))
    assert all(0 <= held <= length / count + 1e-9 for held in bins)


def test_a_character_on_an_edge_is_shared_between_its_bins():
    bins = [0.0, 0.0]
    add_positions(bins, [(1, 2)], 3)
    assert bins == [0.5, 0.5]


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30))
def test_every_number_lies_in_one_bin(values):
    chart = histogram("x", "", np.array(values))
    assert sum(chart.heights) == len(values)
    assert len(chart.edges) == len(chart.heights) + 1
    assert len(chart.heights) <= VALUE_BINS + 2


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30))
def test_whole_numbers_have_whole_edges(values):
    chart = histogram("x", "", np.array(values, dtype=float))
    assert chart.whole
    assert sum(chart.heights) == len(values)
    assert all(edge == int(edge) for edge in chart.edges)
    assert all(low < high for low, high in itertools.pairwise(chart.edges))


@pytest.mark.parametrize(
    ("low", "high", "whole", "edges"),
    [
        (0, 3, True, (0, 1, 2, 3, 4)),
        (7, 7, True, (7, 8)),
        (0, 0, True, (0, 1)),
        (0, 40, True, (0, 5, 10, 15, 20, 25, 30, 35, 40, 45)),
        (0.05, 0.34, False, (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35)),
        (0.0, 1.0, False, (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)),
        (5.58, 5.58, False, (5.5, 6)),
    ],
)
def test_edges_are_round(low, high, whole, edges):
    assert bin_edges(low, high, whole=whole) == edges


def test_a_bin_of_steps_has_the_mean_and_an_empty_one_none():
    chart = over_steps("loss", "", np.array([1.0, 1.0, 3.0]), np.array([4.0, 2.0, 1.0]))
    assert chart.edges == (1, 2, 3, 4)
    assert chart.heights == (3.0, None, 1.0)
