import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.measuring.statistics import (
    bootstrap_ci95,
    maj_at_k,
    paired_difference,
    pass_at_1,
    smallest_detectable,
)
from splitreason_cli.models.sampling import entropy_of_top


def test_pass_at_1_weighs_problems_equally():
    assert pass_at_1([[True, True, False, False], [True]]) == 0.75


def test_the_interval_contains_the_mean_and_repeats():
    coins = [[random.Random(n).random() < 0.3] for n in range(300)]
    low, high = bootstrap_ci95(coins)
    assert low < pass_at_1(coins) < high
    assert bootstrap_ci95(coins) == (low, high)


def test_samples_of_one_problem_do_not_count_as_independent():
    coins = [[random.Random(n).random() < 0.5] for n in range(40)]
    narrow, wide = bootstrap_ci95([[c[0]] for c in coins * 16]), bootstrap_ci95([c * 16 for c in coins])
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])


def test_a_perfect_score_still_has_an_interval():
    low, high = bootstrap_ci95([[True]] * 30)
    assert high == pytest.approx(1)
    assert 0.8 < low < 0.95


def test_the_entropy_of_all_outcomes_is_exact_and_that_of_some_a_lower_bound():
    shares = [0.5, 0.25, 0.125, 0.0625, 0.0625]
    logprobs = [math.log(share) for share in shares]
    whole = entropy_of_top(logprobs)
    assert whole == pytest.approx(1.875 * math.log(2))
    bounds = [entropy_of_top(logprobs[:n]) for n in range(1, 6)]
    assert bounds == sorted(bounds)
    assert entropy_of_top([0.0]) == 0
    assert entropy_of_top([math.log(0.6), math.log(0.4000001)]) == pytest.approx(0.673, abs=1e-3)


def coins(share, count, k=1):
    """`count` problems of `k` samples; those of one problem share a chance of success, drawn by `share`."""
    return lambda rng: [(rng.random(k) < share(rng)).tolist() for _ in range(count)]


def covered(draw, truth, benchmarks):
    rng, hits = np.random.default_rng(0), 0
    for n in range(benchmarks):
        low, high = bootstrap_ci95(draw(rng), seed=n, resamples=400)
        hits += low <= truth <= high
    return hits / benchmarks


@pytest.mark.parametrize(
    ("share", "truth", "problems", "k"),
    [
        (lambda rng: 0.3, 0.3, 30, 1),
        (lambda rng: 0.8, 0.8, 100, 1),
        (lambda rng: rng.uniform(), 0.5, 30, 4),
        (lambda rng: rng.beta(0.2, 0.8), 0.2, 30, 16),
        (lambda rng: rng.beta(1.8, 0.2), 0.9, 100, 4),
    ],
    ids=["30 coins", "100 coins", "30 of 4 samples", "30 skewed of 16 samples", "100 easy of 4 samples"],
)
def test_the_interval_covers_the_truth_in_95_of_100_benchmarks(share, truth, problems, k):
    assert 0.93 <= covered(coins(share, problems, k), truth, 700) <= 0.97


def benchmark(scores):
    return {str(n): samples for n, samples in enumerate(scores)}


def difference_covered(draw, truth, benchmarks):
    rng, hits = np.random.default_rng(1), 0
    for n in range(benchmarks):
        mine, theirs = draw(rng)
        low, high = paired_difference(benchmark(mine), benchmark(theirs), seed=n, resamples=400).ci95
        hits += low <= truth <= high
    return hits / benchmarks


def correlated(rng, problems, k, loss):
    """Two systems that find the same problems hard; the second fails where the first would not with chance `loss`."""
    shares = rng.uniform(size=(problems, 1))
    mine = rng.random((problems, k)) < shares
    return mine.tolist(), (rng.random((problems, k)) < shares * (1 - loss)).tolist()


@pytest.mark.parametrize(("problems", "k", "loss"), [(30, 1, 0.2), (30, 4, 0.2), (100, 4, 0)])
def test_the_interval_of_a_difference_covers_it_in_95_of_100_benchmarks(problems, k, loss):
    assert 0.93 <= difference_covered(lambda rng: correlated(rng, problems, k, loss), loss / 2, 400) <= 0.97


def test_systems_that_do_not_differ_are_told_apart_in_5_of_100_benchmarks():
    rng = np.random.default_rng(2)
    p_values = [
        paired_difference(*map(benchmark, correlated(rng, 30, 8, 0)), seed=n, resamples=400).p_value for n in range(400)
    ]
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07


def test_the_smallest_detectable_difference_is_found_in_80_of_100_benchmarks():
    rng = np.random.default_rng(3)
    pairs = [correlated(rng, 100, 4, 0.17) for _ in range(400)]
    found = [paired_difference(*map(benchmark, pair), seed=n, resamples=400) for n, pair in enumerate(pairs)]
    assert np.mean([one.smallest_detectable for one in found]) == pytest.approx(0.17 / 2, abs=0.002)
    assert np.mean([one.p_value <= 0.05 for one in found]) == pytest.approx(0.8, abs=0.06)


def test_only_problems_that_both_have_are_compared():
    found = paired_difference({"a": [True], "b": [True, False], "c": [True]}, {"b": [False], "a": [True], "d": [False]})
    assert (found.difference, found.problems) == (0.25, 2)


@pytest.mark.parametrize(("wins", "losses", "p"), [(6, 0, 2 / 64), (1, 0, 1), (5, 1, 14 / 64), (3, 3, 1), (0, 0, 1)])
def test_few_problems_are_tested_exactly(wins, losses, p):
    mine = [[True]] * wins + [[False]] * losses + [[True]] * 50
    theirs = [[False]] * wins + [[True]] * losses + [[True]] * 50
    assert paired_difference(benchmark(mine), benchmark(theirs)).p_value == pytest.approx(p)


def test_no_p_value_is_smaller_than_the_draws_can_tell():
    wins = paired_difference(benchmark([[True]] * 200), benchmark([[False]] * 200))
    assert wins.p_value == pytest.approx(2 / 10_001)


@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=1, max_size=3), st.booleans()), min_size=1, max_size=12))
def test_a_difference_mirrors_and_lies_in_its_interval(problems):
    mine, theirs = benchmark([one for one, _ in problems]), benchmark([[other] for _, other in problems])
    forth, back = (paired_difference(*pair, resamples=200) for pair in ((mine, theirs), (theirs, mine)))
    assert forth.difference == pytest.approx(-back.difference)
    assert forth.p_value == pytest.approx(back.p_value)
    low, high = forth.ci95
    assert -1 <= low <= forth.difference + 1e-9
    assert forth.difference - 1e-9 <= high <= 1


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=3), min_size=1, max_size=12))
def test_the_interval_of_any_benchmark_holds_its_mean(problems):
    low, high = bootstrap_ci95(problems, resamples=200)
    assert 0 <= low <= pass_at_1(problems) + 1e-9
    assert pass_at_1(problems) - 1e-9 <= high <= 1


def test_equal_systems_may_differ_on_problems_not_seen():
    narrow, wide = (paired_difference(benchmark([[True]] * n), benchmark([[True]] * n)) for n in (300, 30))
    assert narrow.difference == wide.difference == 0
    assert narrow.ci95 == pytest.approx((-0.0126, 0.0126), abs=1e-4)
    assert wide.ci95 == pytest.approx((-0.1135, 0.1135), abs=1e-4)
    assert narrow.p_value == 1


def test_without_common_problems_nothing_is_known():
    found = paired_difference({"a": [True]}, {"b": [True]})
    assert (found.difference, found.ci95, found.p_value, found.problems) == (0, (-1, 1), 1, 0)
    assert math.isinf(found.smallest_detectable)


def test_the_smallest_detectable_difference_shrinks_with_the_root_of_the_problems():
    one, four = smallest_detectable([1.0, 0.0, -1.0] * 40), smallest_detectable([1.0, 0.0, -1.0] * 160)
    assert one / four == pytest.approx(2, rel=0.01)
    assert smallest_detectable([0.0] * 100) == pytest.approx(2.8016 / 100, rel=1e-4)


@pytest.mark.parametrize(
    ("samples", "share"),
    [
        ([("1", True), ("1", True), ("2", False)], 1),
        ([("1", False), ("1", False), ("2", True)], 0),
        ([("1", True), ("2", False)], 0.5),
        ([("2", False), ("1", True)], 0.5),
        ([("1", True), ("2", False), ("3", False)], 1 / 3),
        ([(None, False), (None, False), ("1", True)], 1),
        ([(None, False)], 0),
        ([("1", None), ("1", None), ("2", True)], None),
        ([("1", None), ("1", True)], 1),
        ([(None, None)], None),
        ([], None),
    ],
)
def test_the_majority_of_a_problem(samples, share):
    assert maj_at_k([samples]) == share
    assert maj_at_k([samples, [("1", True)]]) == (1 if share is None else pytest.approx((share + 1) / 2))
