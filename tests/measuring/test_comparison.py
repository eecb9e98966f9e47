import pytest

from splitreason_cli.measuring.comparison import compare, too_few_problems
from splitreason_cli.records.data import BenchComparison

SPLIT, RANDOM = ("split", None), ("random", None)


def run(right, problems):
    return {str(number): [number < right] for number in range(problems)}


def test_a_comparison_names_both_systems_and_their_budgets():
    comparison, warning = compare("mini", run(90, 100), run(40, 100), ("split", 0.05), ("random", None))
    assert comparison == BenchComparison(
        task="mini",
        system="split",
        offload_budget=0.05,
        baseline="random",
        baseline_budget=None,
        difference=0.5,
        ci95=comparison.ci95,
        p_value=comparison.p_value,
        problems=100,
    )
    assert 0.35 < comparison.ci95[0] < 0.45 < 0.55 < comparison.ci95[1] < 0.65
    assert comparison.p_value < 0.001
    assert warning == ""


def test_a_small_difference_of_few_problems_is_warned_of_in_one_line():
    comparison, warning = compare("mini", run(16, 30), run(15, 30), ("split", 0.05), RANDOM)
    assert comparison.p_value == 1
    assert warning == ("split ≤5% less random: +0.033; 30 problems show 0.093, this takes about 236")


def test_the_same_difference_of_as_many_problems_as_it_takes_is_not_warned_of():
    _, warning = compare("mini", run(160, 300), run(150, 300), SPLIT, RANDOM)
    assert warning == ""


@pytest.mark.parametrize(("shared", "problems"), [("other", 0), ("0", 1)])
def test_hardly_any_problem_in_common_shows_nothing(shared, problems):
    comparison, warning = compare("mini", {shared: [True]}, run(1, 2), SPLIT, RANDOM)
    assert comparison.problems == problems
    assert f"{problems} problems show nothing" in warning


def test_no_difference_at_all_does_not_ask_for_endlessly_many_problems():
    comparison, warning = compare("mini", run(15, 30), run(15, 30), SPLIT, RANDOM)
    assert "30 problems show" in warning
    assert "takes" not in warning
    assert too_few_problems(comparison, 0.0) == ""
