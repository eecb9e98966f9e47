import math
import random
import re

import pytest

from splitreason_cli.split.budget import OffloadBudget
from splitreason_cli.split.controller import ProtocolError, SplitController
from splitreason_cli.split.events import Decode, Emit, Produced
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import (
    POLICIES,
    Always,
    BrokenPolicyError,
    CloseSignal,
    Entropy,
    Keyword,
    Learned,
    MissingSignalError,
    Never,
    Pattern,
    Place,
    Policy,
    PolicyContext,
    Prediction,
    Random,
    Signal,
    Span,
    make_policy,
)
from tests.scripted import TOKENS, drive, scripted
from tests.scripted_backend import in_chunks


@pytest.mark.parametrize(
    ("threshold", "probability", "is_argmax", "closes"),
    [(None, 0.4, True, True), (None, 0.6, False, False), (0.5, 0.4, True, False), (0.5, 0.6, False, True)],
)
def test_learned_closes_at_the_argmax_or_at_a_probability(threshold, probability, is_argmax, closes):
    signal = CloseSignal(1, math.log(probability), is_argmax)
    assert Learned(threshold).closes(Span([1], signal)) is closes


def test_learned_goes_on_where_it_was_not_asked():
    assert not Learned().closes(Span([1]))


def test_never_and_always_are_what_they_say():
    assert not Never().opens(Place([]))
    assert Always().opens(Place([]))
    assert not Always().closes(Span([1] * 999))


def test_random_takes_back_after_its_span():
    policy = Random(0.5, 3, random.Random(0))
    assert [policy.closes(Span([1] * n)) for n in (1, 2, 3)] == [False, False, True]


@pytest.mark.parametrize(("share", "opens"), [(0.0, 0), (1.0, 100)])
def test_random_at_the_ends_of_its_range(share, opens):
    policy = Random(share, 3, random.Random(0))
    assert sum(policy.opens(Place([])) for _ in range(100)) == opens


def test_a_pattern_hands_over_by_the_text_before_and_back_by_the_text_within():
    decode = lambda ids: "".join(map(chr, ids))  # noqa: E731
    policy = Pattern(lambda text: text.endswith("?"), re.compile(r"\d\d"))
    assert policy.opens(Place([ord(c) for c in "what?"], Pattern.needs, None, decode))
    assert not policy.opens(Place([ord(c) for c in "what"], Pattern.needs, None, decode))
    assert policy.closes(Span([ord(c) for c in "42"], decode=decode))
    assert not policy.closes(Span([ord(c) for c in "4"], decode=decode))


def uncertain(*entropies):
    return tuple(map(Prediction, entropies))


def test_entropy_hands_over_in_place_of_an_uncertain_token():
    controller = SplitController([1], [2], TOKENS, Entropy(1.0, 2), Limits(9))
    controller.start()
    actions = controller.receive(Produced("small", (5, 6, 7), uncertain(0.2, 1.0, 3.0)))
    assert [action for action in actions if isinstance(action, Emit)] == [Emit("small", (5,))]
    assert controller.context["big"] == [2, 5]
    actions = controller.receive(Produced("big", (8, 9)))
    assert Emit("big", (8, 9)) in actions
    assert isinstance(actions[-1], Decode)
    assert actions[-1].author == "small"
    assert controller.completion == [5, 8, 9]


def test_where_the_budget_refuses_the_small_model_writes_its_uncertain_token_itself():
    controller = SplitController([1], [2], TOKENS, Entropy(1.0, 2), Limits(9), OffloadBudget(0.0))
    controller.start()
    controller.receive(Produced("small", (5, 6), uncertain(0.2, 2.0)))
    assert (controller.completion, controller.refused) == ([5, 6], 1)


class Confident(Policy):
    """Hands over where the likeliest next token is less likely than half, for one token."""

    name = "confident"
    needs = frozenset((Signal.TOP_LOGPROBS,))

    def opens(self, place):
        return place.top_logprobs[0][1] < math.log(0.5)

    def closes(self, span):
        return True


def test_a_policy_that_needs_the_likeliest_tokens_is_told_them_before_each_token():
    controller = SplitController([1], [2], TOKENS, Confident(), Limits(9))
    controller.start()
    sure, torn = (Prediction(0.0, ((token, math.log(p)),)) for token, p in ((5, 0.9), (6, 0.4)))
    controller.receive(Produced("small", (5, 6), (sure, torn)))
    assert (controller.completion, controller.hand_overs) == ([5], 1)


@pytest.mark.parametrize("predictions", [(), uncertain(0.1)])
def test_a_driver_that_does_not_tell_what_a_policy_needs_is_a_bug(predictions):
    controller = SplitController([1], [2], TOKENS, Entropy(1.0, 2), Limits(9))
    controller.start()
    with pytest.raises(ProtocolError, match="2 tokens came with"):
        controller.receive(Produced("small", (5, 6), predictions))


LETTERS = dict.fromkeys(("small", "big"), lambda ids: "".join(map(chr, ids)))


class Steps(Policy):
    """Keeps where it was asked, and hands nothing over."""

    name = "steps"
    needs = frozenset((Signal.STEPS, Signal.TEXT))

    def __init__(self):
        self.asked = []

    def opens(self, place):
        self.asked.append((place.text(), place.begins_step))
        return False


def test_a_step_begins_at_the_start_and_behind_a_blank_line():
    policy = Steps()
    controller = SplitController([1], [2], TOKENS, policy, Limits(9), decode=LETTERS)
    controller.start()
    controller.receive(Produced("small", tuple(map(ord, "a\nb\n\nc"))))
    assert [text for text, begins in policy.asked if begins] == ["", "a\nb\n\n"]
    assert len(policy.asked) == 7


def test_text_is_only_there_for_policies_that_need_it_and_drivers_that_have_it():
    class Peeking(Policy):
        name = "peeking"

        def opens(self, place):
            return place.text() == ""

    with pytest.raises(MissingSignalError, match="does not name it"):
        SplitController([1], [2], TOKENS, Peeking(), Limits(9), decode=LETTERS).start()
    with pytest.raises(ProtocolError, match="nothing was given to read it with"):
        SplitController([1], [2], TOKENS, Keyword(("Wait",)), Limits(9))


ASKED = {
    Signal.ENTROPY: lambda place: place.entropy,
    Signal.TOP_LOGPROBS: lambda place: place.top_logprobs,
    Signal.TEXT: lambda place: place.text(),
    Signal.STEPS: lambda place: place.begins_step,
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_policy_is_told_nothing_that_it_does_not_name_even_where_it_is_known(asked):
    class Peeking(Policy):
        name = "peeking"
        needs = frozenset(ASKED) - {asked}

        def opens(self, place):
            for signal in self.needs:
                ASKED[signal](place)
            with pytest.raises(MissingSignalError, match=asked.value):
                ASKED[asked](place)
            return True

    controller = SplitController([1], [2], TOKENS, Peeking(), Limits(9), decode=LETTERS)
    controller.start()
    controller.receive(Produced("small", (5,), (Prediction(0.5, ((5, -0.1),)),)))
    assert controller.hand_overs == 1


def test_the_last_tokens_may_be_none_or_more_than_there_are():
    place = Place([97, 98, 99], frozenset((Signal.TEXT,)), None, LETTERS["small"])
    assert [place.text(tail) for tail in (0, 2, 3, 9, None)] == ["", "bc", "abc", "abc", "abc"]


def test_a_policy_that_needs_what_nothing_here_supplies_is_refused_in_one_line():
    class Judged(Policy):
        name = "judged"
        needs = frozenset((Signal.OPINION, Signal.CLOSE))

    with pytest.raises(ValueError, match="policy 'judged': it needs the big model's opinion of the text so far"):
        make_policy("judged", {"judged": lambda context, arguments: Judged()}, PolicyContext())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("never(3)", "it takes no arguments"),
        ("relay(x)", "tokens must be a whole number, not 'x'"),
        ("relay(0, 0)", "tokens must be at least 1, not 0"),
        ("relay(-3)", "tokens must be at least 1, not -3"),
        ("relay(4, -1)", "small tokens must be at least 0, not -1"),
        ("random(0%, 0)", "tokens must be at least 1, not 0"),
        ("random(120%)", "is no share"),
        ("entropy(nan)", "threshold must be a number, not 'nan'"),
        ("entropy(-1)", "threshold must be at least 0, not -1"),
        ("entropy(1, 0)", "tokens must be at least 1, not 0"),
        ("learned(0)", "threshold must be more than 0, not 0"),
        ("learned(7)", "threshold must be at most 1, not 7"),
        ("learned(nan)", "threshold must be a number, not 'nan'"),
        ("relay(16", "is no name"),
    ],
)
def test_arguments_that_a_policy_does_not_take_are_named(text, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        make_policy(text, POLICIES, PolicyContext())


@pytest.mark.parametrize("text", ["relay(2, 0)", "entropy(inf)", "learned(1)", "random(0%, 1)", "random(100%)", "Mine"])
def test_the_ends_of_the_ranges_are_policies(text):
    policies = {**POLICIES, "Mine": lambda context, arguments: Never()}
    assert isinstance(make_policy(text, policies, PolicyContext()), Policy)


@pytest.mark.parametrize("budget", [1.0, 0.5, 0.0])
def test_a_relay_without_small_tokens_gives_the_big_model_what_the_budget_allows(budget):
    policy = make_policy("relay(2, 0)", POLICIES, PolicyContext())
    controller = SplitController([0], [0], TOKENS, policy, Limits(60), OffloadBudget(budget))
    drive(controller, scripted(1, tags=0, end=0), scripted(2, tags=0, end=0), 3, in_chunks(3, 4))
    assert (controller.finish_reason, len(controller.completion)) == ("length", 60)
    assert controller.big_tokens <= budget * 60
    if budget == 1:
        assert controller.big_tokens == 60


def failing(context, arguments):
    return {}["place"]


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (failing, "KeyError: 'place'"),
        (lambda context: Never(), "TypeError: "),
        (lambda context, arguments: None, "no Policy but NoneType"),
        (lambda context, arguments: Never, "no Policy but type"),
    ],
)
def test_a_factory_that_is_broken_is_named_in_one_line(factory, reason):
    with pytest.raises(BrokenPolicyError, match=r"^policy 'mine\(2\)' is broken \(") as caught:
        make_policy("mine(2)", {"mine": factory}, PolicyContext())
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
