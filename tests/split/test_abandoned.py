"""What is reserved is released, whatever way a request ends: requests that share a ledger, left at any event."""

import contextlib
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.split.budget import OffloadBudget, PlannedBudget
from splitreason_cli.split.controller import SplitController
from splitreason_cli.split.events import Cancelled, Decode, Failed, Finish, Probe, Produced
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import Always, Entropy, Keyword, Learned, Never, Placed, Prediction, Random, Relay
from tests.scripted import END, OPEN, TOKENS, answer, entropy_at, produce, scripted

POLICIES = {
    "learned": Learned,
    "never": Never,
    "always": Always,
    "random": lambda: Random(0.4, 3, random.Random(7)),
    "relay": lambda: Relay(5, 2),
    "entropy": lambda: Entropy(0.5, 4),
    "placed": lambda: Placed([(2, 3), (4, 6)]),
    "keyword": lambda: Keyword(("3", "4"), 5),
}
DECODE = dict.fromkeys(("small", "big"), lambda ids: " ".join(map(str, ids)))
OTHERS_RESERVED, OTHERS_PLANNED = 5, 11
"""What requests that stay hold of the ledger."""


@dataclass
class Request:
    """One request and a driver that sends it any event that its last actions allow."""

    controller: SplitController
    rng: random.Random
    floor: Decode | None = None
    probe: Probe | None = None
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def take(self, actions):
        for action in actions:
            if isinstance(action, Decode):
                self.floor, self.probe = action, None
            elif isinstance(action, Probe):
                self.probe = action
            elif isinstance(action, Finish):
                self.floor = self.probe = None

    def go_on(self):
        if self.floor:
            self.take(self.controller.receive(self.event(self.floor)))

    def event(self, floor):
        rng, control, author = self.rng, self.controller, floor.author
        chance = rng.random()
        if chance < 0.05:
            return Failed("big" if chance < 0.04 else "small")
        if self.probe and rng.random() < 0.6:
            return self.answered()
        model = scripted(f"{control.small_prompt}/{author}", tags=0.3 if author == "small" else 0, end=0.03)
        context = list(control.context[author])
        ids = produce(control, floor, model, rng.randint(1, 6))
        return Produced(author, ids, tuple(Prediction(entropy_at([*context, *ids[:n]])) for n in range(len(ids))))

    def answered(self):
        """The probe's answer, or that to its first half."""
        places = self.controller.unconfirmed
        return answer(self.controller, Probe(self.rng.choice(places)) if places else self.probe, self.rng.random())


def opened(number, policy, ledger, limits, planned, rng):
    with contextlib.ExitStack() as stack:
        budget = ledger if planned is None else stack.enter_context(contextlib.closing(PlannedBudget(ledger, planned)))
        control = SplitController([number], [number], TOKENS, POLICIES[policy](), limits, budget, decode=DECODE)
        request = Request(stack.enter_context(control), rng)
        request.take(control.start())
        request.stack = stack.pop_all()
    return request


def leased(requests):
    return sum(request.controller._lease for request in requests)


@given(
    seed=st.integers(0, 10_000),
    policies=st.lists(st.sampled_from(sorted(POLICIES)), min_size=1, max_size=4),
    share=st.sampled_from([None, 0.0, 0.2, 0.5, 1.0]),
    span=st.sampled_from([None, 1, 4]),
    max_tokens=st.integers(1, 60),
    planned=st.sampled_from([None, 0, 20, 100]),
    turns=st.integers(0, 60),
)
def test_whatever_is_abandoned_leaves_the_ledger_as_it_was(seed, policies, share, span, max_tokens, planned, turns):
    rng = random.Random(seed)
    ledger = OffloadBudget(share, 40, 10, reserved=OTHERS_RESERVED, planned_tokens=OTHERS_PLANNED)
    limits = Limits(max_tokens, span)
    alive = [opened(n, policy, ledger, limits, planned, rng) for n, policy in enumerate(policies)]
    for _ in range(turns):
        rng.choice(alive).go_on()
        assert ledger.reserved == OTHERS_RESERVED + leased(alive)
    for request in rng.sample(alive, len(alive)):
        alive.remove(request)
        request.stack.close()
        assert ledger.reserved == OTHERS_RESERVED + leased(alive)
        assert request.controller.finish_reason is not None
    assert (ledger.reserved, ledger.planned_tokens) == (OTHERS_RESERVED, OTHERS_PLANNED)


def in_span(ledger):
    control = SplitController([1], [1], TOKENS, Always(), Limits(50), ledger)
    control.start()
    control.receive(Produced("big", (2, 3)))
    return control


def interrupt(control):
    with control:
        raise KeyboardInterrupt


def test_an_error_in_the_middle_of_a_span_ends_the_request_as_cancelled():
    ledger = OffloadBudget()
    control = in_span(ledger)
    assert ledger.reserved > 0
    with pytest.raises(KeyboardInterrupt):
        interrupt(control)
    assert (control.finish_reason, ledger.reserved) == ("cancelled", 0)


def test_a_request_that_has_ended_stays_as_it_ended():
    ledger = OffloadBudget()
    control = in_span(ledger)
    with control, control:
        control.receive(Produced("big", (END,)))
    assert (control.finish_reason, control.cut_spans, ledger.whole_spans, ledger.reserved) == ("stop", 0, 1, 0)
    assert control.receive(Cancelled()) == ()


@pytest.mark.parametrize(
    ("policy", "ids", "entropies"),
    [("learned", (1, OPEN), ()), ("entropy", (1, 2), (0.1, 0.9)), ("relay", (1, 2, 3), ())],
)
def test_a_hand_over_to_a_model_that_failed_is_no_refusal(policy, ids, entropies):
    control = SplitController([1], [1], TOKENS, POLICIES[policy](), Limits(50))
    control.start()
    control.receive(Failed("big"))
    control.receive(Produced("small", ids, tuple(map(Prediction, entropies))))
    assert (control.hand_overs, control.refused) == (0, 0)
    assert control.context["big"][1:] == [token for token in ids if token != OPEN]
