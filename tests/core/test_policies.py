import math
import random
import re

import pytest

from splitreason_cli.core.policies import Always, CloseSignal, Learned, Never, Pattern, Random


@pytest.mark.parametrize(
    ("threshold", "probability", "is_argmax", "closes"),
    [(None, 0.4, True, True), (None, 0.6, False, False), (0.5, 0.4, True, False), (0.5, 0.6, False, True)],
)
def test_learned_closes_at_the_argmax_or_at_a_probability(threshold, probability, is_argmax, closes):
    signal = CloseSignal(1, math.log(probability), is_argmax)
    assert Learned(threshold).closes([1], signal) is closes


def test_learned_goes_on_where_it_was_not_asked():
    assert not Learned().closes([1], None)


def test_never_and_always_are_what_they_say():
    assert not Never().opens([])
    assert Always().opens([])
    assert not Always().closes([1] * 999, None)


def test_random_takes_back_after_its_span():
    policy = Random(0.5, 3, random.Random(0))
    assert [policy.closes([1] * n, None) for n in (1, 2, 3)] == [False, False, True]


@pytest.mark.parametrize(("share", "opens"), [(0.0, 0), (1.0, 100)])
def test_random_at_the_ends_of_its_range(share, opens):
    policy = Random(share, 3, random.Random(0))
    assert sum(policy.opens([]) for _ in range(100)) == opens


def test_a_pattern_hands_over_by_the_text_before_and_back_by_the_text_within():
    decode = lambda ids: "".join(map(chr, ids))  # noqa: E731
    policy = Pattern(decode, lambda text: text.endswith("?"), re.compile(r"\d\d"))
    assert policy.opens([ord(c) for c in "what?"])
    assert not policy.opens([ord(c) for c in "what"])
    assert policy.closes([ord(c) for c in "42"], None)
    assert not policy.closes([ord(c) for c in "4"], None)
