import pytest

from splitreason_cli.core.comparison import compare, too_few_problems, verdicts, votes
from splitreason_cli.core.records import BenchComparison, Generation, Segment


def generation(problem, correct, text="", system="split", sample=0):
    return Generation(
        id=str(problem), system=system, sample=sample, problem="p", answer="1", finish_reason="stop", correct=correct,
        segments=(Segment(author="small", token_ids=(1,), text=text[:4]),
                  Segment(author="big", token_ids=(1,), text=text[4:])),
        tokens=2, big_tokens=1, spans=1, refused=0, cut=0, unclosed=0, seconds=0.5,
    )  # fmt: skip


def run(system, right, problems):
    return [generation(n, n < right, system=system) for n in range(problems)]


def test_a_comparison_names_both_systems_and_their_budgets():
    comparison, warning = compare(run("split", 90, 100), run("random", 40, 100), "mini", 0.05, None)
    assert comparison == BenchComparison(
        task="mini", system="split", offload_budget=0.05, baseline="random", baseline_budget=None, difference=0.5,
        ci95=comparison.ci95, p_value=comparison.p_value, problems=100,
    )  # fmt: skip
    assert 0.35 < comparison.ci95[0] < 0.45 < 0.55 < comparison.ci95[1] < 0.65
    assert comparison.p_value < 0.001
    assert warning == ""


def test_a_small_difference_of_few_problems_is_warned_of_in_one_line():
    comparison, warning = compare(run("split", 16, 30), run("random", 15, 30), "mini", 0.05)
    assert comparison.p_value == 1
    assert warning == ("split ≤5% less random: +0.033; 30 problems show 0.093, this takes about 236")


def test_the_same_difference_of_as_many_problems_as_it_takes_is_not_warned_of():
    _, warning = compare(run("split", 160, 300), run("random", 150, 300), "mini")
    assert warning == ""


@pytest.mark.parametrize(("mine", "problems"), [([], 0), ([0], 1)])
def test_hardly_any_problem_in_common_shows_nothing(mine, problems):
    others = [generation(n, True, system="random") for n in (0, 7)]
    theirs = [generation(n, True) for n in mine] or [generation(5, True)]
    comparison, warning = compare(theirs, others, "mini")
    assert comparison.problems == problems
    assert f"{problems} problems show nothing" in warning


def test_no_difference_at_all_does_not_ask_for_endlessly_many_problems():
    comparison, warning = compare(run("split", 15, 30), run("random", 15, 30), "mini")
    assert "30 problems show" in warning
    assert "takes" not in warning
    assert too_few_problems(comparison, 0.0) == ""


def test_samples_without_a_verdict_are_left_out():
    made = [generation("a", True), generation("a", None), generation("b", None)]
    assert verdicts(made) == {"a": [True]}


def test_right_answers_are_one_vote_however_they_are_written():
    made = [
        generation("a", True, r"so \boxed{1,024}"),
        generation("b", False),
        generation("a", True, r"\boxed{2^{10}}"),
        generation("a", False, r"\boxed{x {}  + 1}"),
        generation("a", False, r"\boxed{$x{} + 1$}"),
    ]
    (right, same, wrong, wrong_too), nothing = votes(made)
    assert right == same
    assert right[1]
    assert wrong == wrong_too
    assert nothing == [(None, False)]
