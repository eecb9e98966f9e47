import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.split.decisions import Role, decided, log_go_on, roles

OPEN, CLOSE = 100, 101
CLOSED, WENT_ON = (True, -0.5), (False, -3.0)


def test_roles_follow_from_the_ids():
    completion = [1, OPEN, 2, 3, 4, CLOSE, 5]
    assert [role.name for role in roles(completion, OPEN, CLOSE)] == [
        "FREE",
        "FREE",
        "OTHER",
        "GO_ON",
        "GO_ON",
        "CLOSE",
        "FREE",
    ]


@given(st.lists(st.sampled_from([1, 2, 3, OPEN, CLOSE]), max_size=30))
def test_what_is_said_of_a_beginning_holds_for_the_whole(completion):
    whole = roles(completion, OPEN, CLOSE)
    for end in range(len(completion)):
        assert roles(completion[:end], OPEN, CLOSE) == whole[:end]


def test_words_and_closings_are_laid_on_their_positions():
    found = decided([1, OPEN, 2, 3, CLOSE, 5], OPEN, CLOSE, [-0.1, -0.2, -0.3], [WENT_ON, CLOSED])
    expected = [-0.1, -0.2, None, log_go_on(-3.0), -0.5, -0.3]
    assert [one.logprob for one in found] == expected


def test_a_closing_tag_that_a_limit_put_there_was_nobodys_decision():
    found = decided([OPEN, 2, 3, CLOSE], OPEN, CLOSE, [-0.2], [WENT_ON, WENT_ON])
    assert [one.logprob for one in found] == [-0.2, None, log_go_on(-3.0), None]


def test_a_text_may_end_in_a_span():
    found = decided([OPEN, 2, 3], OPEN, CLOSE, [-0.2], [WENT_ON, WENT_ON])
    assert [one.role for one in found] == [Role.FREE, Role.OTHER, Role.GO_ON]


@pytest.mark.parametrize(("words", "closings"), [([], []), ([-0.1, -0.2], []), ([-0.1], [CLOSED])])
def test_records_that_do_not_fit_the_completion_are_refused(words, closings):
    with pytest.raises(ValueError, match="recorded"):
        decided([1], OPEN, CLOSE, words, closings)


@given(st.floats(-20, -0.001))
def test_closing_and_going_on_are_all_there_is(logprob):
    assert math.exp(logprob) + math.exp(log_go_on(logprob)) == pytest.approx(1)
    assert math.isfinite(log_go_on(0.0))
