import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.errors import UsageError
from splitreason_cli.records.extraction import EXTRACTS, answer_in, boxed_answer, parts_of_run


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"so \boxed{3}", "3"),
        (r"\boxed{1} no, \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1} then \boxed{2", None),
        (r"\boxed{7} </think> it is \boxed{8}", "8"),
        (r"\boxed{7} </think> nothing", None),
        ("no box", None),
        (r"\boxed {3}", "3"),
        (r"\\boxed{3}", "3"),
        (r"\boxed{\boxed{3} + 1}", "3"),
        (r"} \boxed{3}", "3"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{a \\ b}", r"a \\ b"),
        (r"\boxed{1} or \fbox{2}", "2"),
        (r"\\fbox{3}", "3"),
        (r"\frac{1}{2} \boxer{3}", None),
    ],
)
def test_the_last_complete_box_after_the_reasoning_counts(completion, answer):
    assert boxed_answer(completion) == answer


@given(st.text(alphabet="{}\\\\x", max_size=30), st.text(alphabet="{}x ", max_size=30))
def test_what_is_boxed_is_balanced(before, inside):
    found = boxed_answer(before + r"x\boxed{" + inside + "}")
    depths = [(inside + "}")[:n].count("{") - (inside + "}")[:n].count("}") for n in range(len(inside) + 2)]
    expected = inside[: depths.index(-1) - 1].strip() if -1 in depths else None
    assert found == (expected or None) or expected is None


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"\boxed{" * 100_000, None),
        (r"\boxed{" * 100_000 + "1" + "}" * 100_000, "1"),
        (r"\boxed 1 " * 100_000, "1"),
        ((r"\boxed" + " " * 50) * 10_000, None),
        (r"\framebox[" * 100_000, None),
        (r"\boxed{1}" * 100_000, "1"),
        (r"\boxed" + " " * 400_000 + "1", None),
        ("{" * 400_000 + r"\boxed{1}", "1"),
        (r"\boxed{1}" + "}" * 400_000, "1"),
        ("\\" * 400_000 + r"\boxed{1}", "1"),
        ("so " * 130_000 + r"\boxed{1}", "1"),
    ],
    ids=["opened", "nested", "bare", "far", "optional", "many", "spaces", "braces", "closed", "backslashes", "long"],
)
def test_a_hostile_text_is_read_once(completion, answer):
    """Had each box a search of its own, these would take hours."""
    assert boxed_answer(completion) == answer


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"So our answer is $\boxed 2$.", "2"),
        (r"So our answer is $\boxed\frac12$.", r"\frac12"),
        (r"First $\boxed{5}$, no: $\boxed 2$.", "2"),
        (r"so \boxed 2, and thus the $x$", "2"),
        (r"\(\boxed -3\pi\)", r"-3\pi"),
        (r"\[\boxed \frac{3}{\sqrt{2}}\]", r"\frac{3}{\sqrt{2}}"),
        (r"$\boxed\text{Evelyn}$.", r"\text{Evelyn}"),
        (r"so \framebox{17}", "17"),
        (r"so \framebox[1cm][c]{17}", "17"),
        (r"put it in \boxed and go on", None),
        (r"a \boxed solution", None),
    ],
)
def test_other_forms_of_the_box_count(completion, answer):
    assert boxed_answer(completion) == answer


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"First \boxed{12}, but no: finally \boxed{13", None),
        (r"First \boxed{12}, so finally \boxed{\frac{1}{2}", None),
        (r"First \boxed{12}, then \boxed", None),
        (r"First \boxed{12}, then \box", None),
        ("<think>\nI first try \\boxed{5}. No, that cannot be", None),
        ("<think>a</think> \\boxed{5} <think> or \\boxed{6}", "5"),
        (r"I put it in \boxed{}. So $\boxed{7}$, as asked in \boxed{}.", "7"),
        (r"I put it in \boxed{...}. So $\boxed{7}$, as asked in \boxed{\ldots}.", "7"),
        (r"\boxed{}", None),
    ],
)
def test_an_older_box_never_counts_where_a_later_one_was_cut_and_a_mention_is_no_box(completion, answer):
    assert boxed_answer(completion) == answer


@pytest.mark.parametrize(
    ("completion", "parts"),
    [
        (r"$\boxed{1331}$ and $\boxed{1728}$", ["1331", "1728"]),
        (r"$x = \boxed{2}$ or $x = \boxed{-3}$", ["2", "-3"]),
        (r"The smaller is \boxed{2}. The larger is \boxed{3}.", ["2", "3"]),
        (r"\boxed{4} ... \boxed{4}", ["4"]),
        (r"\boxed{1} no, \boxed{2}", ["2"]),
        (r"\boxed{\frac{1}{2}} = \boxed{0.5}", ["0.5"]),
        (r"\boxed{1}" + " and on" * 20 + r"\boxed{2}", ["2"]),
        ("\\[\\boxed{2}\\]\n\n\\[\\boxed{3}\\]", ["2", "3"]),
    ],
)
def test_boxes_that_stand_together_are_one_answer_of_several_parts(completion, parts):
    assert parts_of_run(answer_in(completion)) == parts


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("The answer is 5.", "5"),
        ("<think>The answer is 4.</think> The answer is $x = 5$. I hope it is correct.", "x = 5"),
        ("**Answer:** 3/4", "3/4"),
        ("So we get 12 apples and 3.5 kg in all.", "3.5"),
        ("**Final Answer**\n\n\\[ \\frac{3}{2} \\]", r"\frac{3}{2}"),
        (r"Final answer: \boxed{3}", "3"),
        (r"It is $\boxed{3}$.", "3"),
        (r"It is \boxed{3}, not 4", "4"),
        ("The answer is\n\n1,024", "1,024"),
        ("I cannot say.", None),
        ("", None),
    ],
)
def test_what_is_said_last_is_found_without_a_box(completion, answer):
    assert answer_in(completion, "last") == answer


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"\boxed{3}, that is 4", "3"),
        ("The answer is 4.", "4"),
        (r"\boxed{3}, no: the answer is \boxed{4", None),
        ("<think>The answer is 4.", None),
    ],
)
def test_auto_takes_the_box_and_what_is_said_last_only_where_none_was_begun(completion, answer):
    assert answer_in(completion, "auto") == answer


def test_an_unknown_way_to_find_answers_is_refused():
    with pytest.raises(UsageError, match="'first'"):
        answer_in("1", "first")


@given(st.text(alphabet="\\boxed{}frame[]$ \n1.answer is<think>/"), st.sampled_from(EXTRACTS))
def test_any_text_gives_a_non_empty_answer_or_none(text, extract):
    assert answer_in(text, extract) != ""


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("C", "C"),
        ("(C)", "(C)"),
        ("**C**.", "C"),
        ("Yes", "Yes"),
        (".5", ".5"),
        ("x+1", "x+1"),
        ("Paris.", "Paris"),
        ("No idea.", None),
        ("The correct option is (C).", "C"),
        ("12 + 3 = 15. Therefore, option C.", "C"),
        ("Option A gives 3, so it is 4.", "4"),
        ("The choice of axes is arbitrary and gives 12.", "12"),
        ("One long line about nothing in particular, which goes on and on", None),
    ],
)
def test_short_completions_and_named_options_are_answers_where_no_box_is_asked_for(completion, answer):
    assert answer_in(completion, "auto") == answer_in(completion, "last") == answer
    assert answer_in(completion) is None
