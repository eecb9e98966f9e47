import pytest

from splitreason_cli.core import markup
from splitreason_cli.core.records import AnnotatedTrace, HardSpan
from splitreason_cli.stages.build_sft import BuildSftConfig, example, why_malformed


def trace(spans=((4, 7),), problem="p", **extra):
    return AnnotatedTrace(
        id="a", problem=problem, answer="42", reasoning="one two", annotator="x", extra=extra,
        spans=tuple(HardSpan(start=a, end=b, score=1.0) for a, b in spans),
    )  # fmt: skip


def test_the_completion_is_tagged_reasoning_and_boxed_answer():
    built = example(trace(), BuildSftConfig())
    assert built.completion == "one <bigmodel>two</bigmodel>\n</think>\n\n\\boxed{42}"


def test_the_hint_goes_into_the_prompt_only_if_wanted():
    with_hint, without = (example(trace(), BuildSftConfig(hint=hint)).prompt[0].content for hint in (True, False))
    assert with_hint == f"p\n{markup.HINT}"
    assert without == "p"


def test_a_trace_without_spans_teaches_not_to_open():
    assert markup.OPEN not in example(trace(spans=()), BuildSftConfig()).completion


def test_foreign_fields_travel_along():
    assert example(trace(source="s"), BuildSftConfig()).to_dict()["source"] == "s"


def test_copies_of_a_problem_share_a_split_and_the_share_is_kept():
    config = BuildSftConfig(test_fraction=0.2)
    splits = [example(trace(problem=str(n)), config).split for n in range(2000)]
    assert splits == [example(trace(problem=str(n), copy=1), config).split for n in range(2000)]
    assert splits.count("test") / 2000 == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("spans", [[(0, 99)], [(3, 3)], [(0, 5), (3, 6)], [(4, 6), (0, 2)]])
def test_spans_that_do_not_fit_are_malformed(spans):
    assert "Annotate the trace again" in why_malformed(trace(spans))
    assert why_malformed(trace()) is None
