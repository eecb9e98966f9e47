"""What the generations of one system come to."""

import dataclasses

import pytest

from splitreason_cli.errors import UsageError
from splitreason_cli.measuring.tally import Tally, finder, tally, vote_of
from splitreason_cli.records.data import Generation, Segment
from splitreason_cli.records.measurement import UNKNOWN
from splitreason_cli.tasks.base import Task


def generation(problem, correct, tokens=10, big=1, text="", finish_reason="stop", unclosed=0):
    return Generation(
        id=problem,
        system="split",
        sample=0,
        problem="p",
        answer="1",
        finish_reason=finish_reason,
        correct=correct,
        segments=(Segment(author="small", token_ids=(1,) * tokens, text=text),),
        tokens=tokens,
        big_tokens=big,
        spans=1,
        refused=0,
        cut=0,
        unclosed=unclosed,
        seconds=0.5,
    )


def result(made, samples=1):
    return tally(made).result("split", None, "learned", task="mini", samples=samples)


def test_a_missing_verdict_is_left_out_of_the_accuracy_only():
    made = [generation("a", True), generation("b", False), generation("c", None)]
    found = result(made)
    assert (found.pass_at_1, found.problems, found.tokens, found.seconds) == (0.5, 3, 30, 1.5)


def test_the_share_is_taken_over_the_run_and_not_over_the_problems():
    made = [generation("a", True, tokens=90, big=0), generation("b", True, tokens=10, big=10)]
    assert result(made).offload_share == 0.1


def test_completions_without_an_answer_are_counted_and_requests_without_a_completion_are_not():
    failed = dataclasses.replace(generation("d", None, finish_reason="error"), segments=())
    made = [
        generation("a", True, text=r"\boxed{1}"),
        generation("b", False, text=r"\boxed{2}"),
        generation("c", False, text="the answer is 2"),
        generation("c", None, text="no idea"),
        failed,
    ]
    found = result(made)
    assert (found.completions, found.unanswered) == (5, 2)
    loose = tally(made, finder(Task(), "auto"), "auto").result("split", None, "learned", task="mini", samples=1)
    assert (loose.unanswered, loose.extract) == (1, "auto")


def test_a_looser_extraction_does_not_replace_the_rules_of_a_task():
    class Shouted(Task):
        def answer_in(self, completion):
            return completion.upper()

    assert finder(Shouted(), "box")("a") == "A"
    with pytest.raises(UsageError, match="--extract last would replace the rules that the task has"):
        finder(Shouted(), "last")


def test_what_ended_how_is_counted():
    made = [
        generation("a", True, finish_reason="length"),
        generation("b", None, finish_reason="length", unclosed=1),
        generation("c", True, unclosed=1),
        generation("d", False),
        generation("e", None),
    ]
    found = result(made)
    assert (found.spans, found.truncated, found.unclosed, found.ungraded) == (5, 2, 2, 2)
    assert found.maj_at_k is None


def test_the_majority_of_several_samples_is_graded():
    made = [
        generation(problem, answer == "1", text=rf"\boxed{{{answer}}}")
        for problem, answers in {"a": "112", "b": "122", "c": "12"}.items()
        for answer in answers
    ]
    found = result(made, samples=3)
    assert found.maj_at_k == 0.5
    assert found.pass_at_1 == 0.5


def test_hand_over_times_are_averaged_over_spans():
    made = [
        dataclasses.replace(generation("a", True), spans=spans, hand_over_seconds=seconds)
        for spans, seconds in ((1, 1.0), (3, 2.0), (0, None))
    ]
    assert result(made).hand_over_seconds == (1.0 + 3 * 2.0) / 4


def test_right_answers_are_one_vote_however_they_are_written():
    texts = [r"so \boxed{1,024}", r"\boxed{2^{10}}", r"\boxed{x {}  + 1}", r"\boxed{$x{} + 1$}", "nothing"]
    made = [generation("a", number < 2, text=text) for number, text in enumerate(texts)]
    right, right_too, wrong, wrong_too, nothing = map(vote_of, made)
    assert right == right_too
    assert right[1]
    assert wrong == wrong_too
    assert nothing == (None, False)


def test_without_a_verdict_there_is_no_accuracy():
    found = result([generation("a", None), generation("b", None)])
    assert (found.pass_at_1, found.ci95, found.ungraded, found.problems) == (None, None, 2, 2)
    assert Tally().result("split", None, "learned", task="mini", samples=1).pass_at_1 is None


def test_two_problems_of_which_one_is_right_have_an_accuracy():
    found = result([generation("a", True), generation("b", False)])
    assert (found.pass_at_1, found.ci95) == (0.5, (0.0, 1.0))


def test_what_one_log_does_not_say_is_not_known_of_all():
    unknown = dataclasses.replace(generation("a", True), extra={UNKNOWN: ["big_tokens", "seconds"]})
    found = result([generation("b", True), unknown])
    assert (found.tokens, found.big_tokens, found.offload_share, found.seconds) == (20, None, None, None)
    assert (found.spans, found.small_tokens) == (2, None)


def test_time_in_flight_is_counted_once():
    made = [dataclasses.replace(generation(name, True), seconds=9.0, wall_seconds=0.5) for name in "abc"]
    assert result(made).seconds == 1.5
