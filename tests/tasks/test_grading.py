import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.tasks.grading import (
    Verdict,
    is_correct,
    mathematical_verdict,
    normalized,
    quick_verdict,
)
from splitreason_cli.tasks.numbers import integer_of


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
        (r"\boxed{49.5}", "49.5", True),
        (r"\boxed{\frac{99}{2}}", "49.5", True),
        (r"\boxed{49}", "49.0", True),
    ],
)
def test_verdicts(completion, gold, verdict):
    assert is_correct(completion, gold) is verdict


def test_an_unreadable_gold_answer_gives_no_verdict():
    assert is_correct(r"\boxed{1}", "") is None


@pytest.mark.parametrize(
    ("answer", "integer"),
    [
        ("034", "34"),
        ("-034", "-34"),
        ("+34", "34"),
        ("\u221234", "-34"),
        ("- 34", "-34"),
        ("-0", "0"),
        ("000", "0"),
        ("1,024", "1024"),
        ("1{,}024", "1024"),
        (r"1\,024", "1024"),
        (r"12,\!345,\!678", "12345678"),
        ("$34$", "34"),
        (r"\(34\)", "34"),
        (r"\text{34}", "34"),
        (r"$\text{ 1,024. }$.", "1024"),
        ("9" * 10_000, "9" * 10_000),
        ("1,24", None),
        ("1,0245", None),
        ("12345,678", None),
        ("34.0", None),
        (r"34\%", None),
        ("{1}+{2}", None),
        ("", None),
        ("$", None),
        ("\u0663", None),
    ],
)
def test_an_integer_is_read_however_it_is_set(answer, integer):
    assert integer_of(answer) == integer


@given(st.integers(), st.integers(0, 3), st.sampled_from(["{}", "${}$", r"\text{{{}}}", r"\mathbf{{{}}}", "{{{}}}"]))
def test_integers_are_equal_however_they_are_set(number, zeros, frame):
    sign = "-" if number < 0 else ""
    assert integer_of(frame.format(f"{sign}{'0' * zeros}{abs(number)}")) == str(number)
    assert integer_of(frame.format(f"{number:,}")) == str(number)
    assert quick_verdict(frame.format(number), str(number + 1)) is False


@pytest.mark.parametrize("answer", ["034", "1,024", "1{,}024", "$7$", r"\text{7}", r"\(7\)", "+7", "-7", "{7}"])
@pytest.mark.parametrize("gold", ["34", "1024", "7", "-7", "24"])
def test_the_quick_way_with_integers_agrees_with_mathematics(answer, gold):
    assert quick_verdict(answer, gold) == mathematical_verdict(answer, gold).correct


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\dfrac{1}{2}", r"\frac{1}{2}"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\,\tfrac{\pi}{2})"),
        ("1,024", "$1024$"),
        (r"\text{east}", "east."),
    ],
)
def test_answers_that_only_look_different_are_one(one, other):
    assert normalized(one) == normalized(other)


def test_answers_that_differ_stay_different():
    answers = ["1/2", "2/1", r"\leftarrow", r"\rightarrow", "x+1", "x-1", "12", "1,2"]
    assert len({normalized(answer) for answer in answers}) == len(answers)


def test_an_answer_that_is_no_mathematics_is_wrong_and_an_unreadable_gold_answer_gives_a_reason():
    assert mathematical_verdict(r"\frac{1}{", "1/2").correct is False
    assert mathematical_verdict("1", "").correct is None
    assert "gold answer" in mathematical_verdict("1", "").reason


def test_what_the_library_raises_is_a_reason_and_no_verdict(monkeypatch):
    def fail(*arguments, **options):
        raise RecursionError("too deep\nand more")

    monkeypatch.setattr("math_verify.verify", fail)
    assert mathematical_verdict("x+1", "y+1") == Verdict(None, "math-verify failed with RecursionError: too deep")
    with pytest.raises(RecursionError):
        is_correct(r"\boxed{x+1}", "y+1")
