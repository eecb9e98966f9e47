import pytest

from splitreason_cli.core.grading import boxed_answer, is_correct


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"so \boxed{3}", "3"),
        (r"\boxed{1} no, \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1} then \boxed{2", "1"),
        (r"\boxed{7} </think> it is \boxed{8}", "8"),
        (r"\boxed{7} </think> nothing", None),
        ("no box", None),
    ],
)
def test_the_last_complete_box_after_the_reasoning_counts(completion, answer):
    assert boxed_answer(completion) == answer


@pytest.mark.parametrize(
    ("completion", "gold", "verdict"),
    [
        (r"\boxed{034}", "34", True),
        (r"\boxed{34}", "034", True),
        (r"\boxed{35}", "34", False),
        ("34", "34", False),
        (r"\boxed{}", "34", False),
        (r"\boxed{\frac{2}{4}}", r"\frac{1}{2}", True),
        (r"\boxed{\frac{1}{3}}", r"\frac{1}{2}", False),
        (r"\boxed{34.0}", "34", True),
    ],
)
def test_verdicts(completion, gold, verdict):
    assert is_correct(completion, gold) is verdict


def test_an_unreadable_gold_answer_gives_no_verdict():
    assert is_correct(r"\boxed{1}", "") is None
