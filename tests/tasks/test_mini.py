import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.tasks import mini


@pytest.mark.parametrize(
    ("operation", "value", "result"),
    [("+7", 998, 5), ("*5", 482, 410), (".rev", 480, 84), (".rot", 123, 231), (".swp", 123, 132), ("#37", 984, 108)],
)
def test_operations(operation, value, result):
    assert mini.apply(operation, value) == result


def test_an_unknown_operation_is_refused():
    with pytest.raises(ValueError, match="unknown operation"):
        mini.apply(".inv", 1)


def test_training_problems_are_the_same_each_time_and_none_is_held_out():
    every = list(mini.training_problems(50, ()))
    held_out = {problem.problem for problem in every[::2]}
    kept = list(mini.training_problems(50, held_out))
    assert [problem.problem for problem in kept[:25]] == [problem.problem for problem in every[1::2]]
    assert not held_out & {problem.problem for problem in kept}
    assert [problem.id for problem in kept] == [problem.id for problem in every]


@given(st.integers())
def test_the_oracle_marks_the_results_of_undrilled_products_only(seed):
    problem = mini.sample_problem(random.Random(seed))
    marked = [problem.reasoning[a:b] for a, b in mini.hard_spans(problem.reasoning)]
    undrilled = [op[0] == "#" and int(op[1:]) not in mini.DRILLED for op in problem.operations]
    assert marked == [f"{v:03d}" for v, hard in zip(problem.values, undrilled, strict=True) if hard]
    assert 5 <= len(problem.operations) <= 9
    assert 0 <= problem.answer <= 999
