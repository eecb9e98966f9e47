import math
import random

import pytest

from splitreason_cli.core.statistics import bootstrap_ci95, entropy_of_top, pass_at_1


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
