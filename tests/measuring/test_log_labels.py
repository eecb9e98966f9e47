"""What a log says of its completions itself, beside our verdicts."""

import dataclasses

import pytest

from splitreason_cli.measuring.log_labels import disagreement, labels_of, metric_in
from splitreason_cli.records.extraction import boxed_answer
from tests.made_up_run import generation


@pytest.mark.parametrize(
    ("value", "completions", "scored", "labels"),
    [
        (1.0, 1, None, [1.0]),
        (0.25, 4, None, [0.25] * 4),
        (0.3333, 3, None, [0.3333] * 3),
        (0.25, 3, None, [None] * 3),
        (0.73, 1, None, [None]),
        (1.0, 3, 1, [1.0, None, None]),
        ([1.0, 0.0], 2, None, [1.0, 0.0]),
        ([1.0, 0.0], 3, None, [None] * 3),
        (None, 2, None, [None, None]),
    ],
)
def test_a_label_is_that_of_its_completion_or_a_mean_of_verdicts(value, completions, scored, labels):
    assert labels_of(value, completions, scored) == labels


@pytest.mark.parametrize(
    ("metrics", "found"),
    [
        ({"avg@n:n=4": 0.25}, ("avg@n:n=4", 0.25)),
        ({"maj@8": 1.0, "pass@k:k=8": 1.0, "pass@k:k=1": 0.5}, ("pass@k:k=1", 0.5)),
        ({"other": 0.0, "extractive_match": 1.0}, ("extractive_match", 1.0)),
        ({"maj@8": 1.0}, None),
        ({"length": 812.0}, None),
    ],
)
def test_the_metric_to_compare_with_is_no_majority_and_no_best_of_several(metrics, found):
    assert metric_in(metrics) == found


def labelled(correct, label, text):
    made = generation(correct=correct, words=(text,))
    return dataclasses.replace(made, extra={} if label is None else {"said": label})


def test_labels_and_verdicts_are_compared_where_there_are_both():
    made = [
        labelled(True, 1.0, "\\boxed{1}"),
        labelled(False, 1.0, "the answer is 1"),
        labelled(False, 1.0, "\\boxed{2}"),
        labelled(False, 0.0, "\\boxed{2}"),
        labelled(None, 1.0, "\\boxed{2}"),
        labelled(True, None, "\\boxed{1}"),
    ]
    found = disagreement(made, boxed_answer, "said")
    assert (found.completions, found.theirs, found.ours, found.differ, found.unanswered) == (4, 0.75, 0.25, 2, 1)
    assert found.describe("acc") == (
        "the log's own labels (acc) say 0.750, the verdicts 0.250; they differ on 2 of 4 completions, 1 of which give "
        "no answer here"
    )
    assert disagreement(made[4:], boxed_answer, "said") is None


def test_where_they_agree_this_is_said_too():
    same = disagreement([labelled(True, 1.0, "x"), labelled(False, 0.0, "y")], boxed_answer, "said")
    assert same.describe("") == "the log's own labels agree with the verdicts on all 2 completions"
    means = disagreement([labelled(True, 0.5, "x"), labelled(True, 0.5, "y")], boxed_answer, "said")
    assert means.describe("") == "the log's own labels say 0.500, the verdicts 1.000"
