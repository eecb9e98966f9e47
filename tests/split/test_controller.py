import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.split.budget import FIRST_SPAN_TOKENS, OffloadBudget
from splitreason_cli.split.controller import ProtocolError, SplitController
from splitreason_cli.split.events import Cancelled, Decode, Emit, Failed, Finish, Probe, Probed, Produced
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import Always, CloseSignal, Learned, Never, Random
from tests.scripted import CLOSE, END, OPEN, TOKENS, choose, closes, drive, scripted

POLICIES = {
    "learned": Learned,
    "never": Never,
    "always": Always,
    "random": lambda: Random(0.3, 3, random.Random(7)),
}
SMALL_PROMPT, BIG_PROMPT = [1, OPEN, CLOSE], [1]


def controller(policy=None, max_tokens=40, span=None, share=None):
    return SplitController(
        SMALL_PROMPT, BIG_PROMPT, TOKENS, policy or Learned(), Limits(max_tokens, span), OffloadBudget(share)
    )


def outcome(control, emitted):
    return emitted, control.segments, control.finish_reason, control.context, control.refused, control.budget


@given(
    seed=st.integers(0, 10_000),
    policy=st.sampled_from(sorted(POLICIES)),
    share=st.sampled_from([None, 0.0, 0.1, 0.5, 1.0]),
    span=st.sampled_from([None, 1, 4]),
    max_tokens=st.integers(1, 40),
    chunks=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_how_tokens_are_grouped_changes_nothing(seed, policy, share, span, max_tokens, chunks):
    small, big = scripted(("small", seed)), scripted(("big", seed), tags=0)
    runs = []
    rng = random.Random(seed)
    for size in (lambda: 1, lambda: rng.choice(chunks)):
        control = controller(POLICIES[policy](), max_tokens, span, share)
        runs.append(outcome(control, drive(control, small, big, seed, size)))
    assert runs[0] == runs[1]


@given(
    seed=st.integers(0, 10_000),
    policy=st.sampled_from(sorted(POLICIES)),
    share=st.sampled_from([None, 0.0, 0.05, 0.5]),
    size=st.integers(1, 9),
)
def test_invariants_of_every_run(seed, policy, share, size):
    small, big = scripted(("small", seed)), scripted(("big", seed), tags=0)
    control = controller(POLICIES[policy](), 40, None, share)
    emitted = drive(control, small, big, seed, lambda: size)
    written = [(author, token) for author, ids in control.segments for token in ids]
    assert emitted == written
    assert control.completion == [token for _, token in written]
    assert len(written) <= 40
    assert not {OPEN, CLOSE, END} & set(control.completion)
    # The big model has read its prompt and the plain text, never a tag.
    assert control.context["big"] == BIG_PROMPT + control.completion
    own = control.context["small"][len(SMALL_PROMPT) :]
    assert [token for token in own if token not in (OPEN, CLOSE)] == control.completion
    assert control.budget.reserved == 0
    assert control.budget.small_tokens + control.budget.big_tokens == len(written)
    if share is not None:
        assert control.big_tokens <= share * len(written) + 1e-9


@given(
    seed=st.integers(0, 10_000),
    policy=st.sampled_from(sorted(POLICIES)),
    small_reads=st.integers(10, 60),
    big_reads=st.integers(10, 60),
    chunks=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_a_completion_fills_the_smaller_context_and_no_more(seed, policy, small_reads, big_reads, chunks):
    small, big = scripted(("small", seed), tags=0.4, end=0), scripted(("big", seed), tags=0, end=0)
    rng, runs = random.Random(seed), []
    for size in (lambda: 1, lambda: rng.choice(chunks)):
        limits = Limits(30, None, {"small": small_reads, "big": big_reads})
        control = SplitController(SMALL_PROMPT, BIG_PROMPT, TOKENS, POLICIES[policy](), limits)
        runs.append(outcome(control, drive(control, small, big, seed, size)))
        assert control.finish_reason == "length"
        # A server also wants room for the one token that a probe decodes.
        assert len(control.context["small"]) < small_reads
        assert len(control.context["big"]) < big_reads
        tags = 2 * control.hand_overs if policy == "learned" else 0
        rooms = (30, small_reads - 1 - len(SMALL_PROMPT) - tags, big_reads - 1 - len(BIG_PROMPT))
        assert len(control.completion) == min(rooms)
    assert runs[0] == runs[1]


@given(seed=st.integers(0, 10_000))
def test_learned_decoding_equals_a_loop_that_knows_nothing_of_the_controller(seed):
    small, big = scripted(("small", seed)), scripted(("big", seed), tags=0)
    control = controller(max_tokens=30)
    drive(control, small, big, seed, lambda: 1)

    text, own, author, written = [], list(SMALL_PROMPT), "small", []
    while len(text) < 30:
        if author == "small":
            token = choose(small, own, frozenset([CLOSE]))
            if token == OPEN:
                own.append(OPEN)
                author = "big"
                continue
        else:
            token = choose(big, BIG_PROMPT + text, frozenset([OPEN, CLOSE]))
        if token == END:
            break
        text.append(token)
        own.append(token)
        written.append(author)
        if author == "big" and closes(seed, own):
            own.append(CLOSE)
            author = "small"
    assert control.completion == text
    assert [a for a, ids in control.segments for _ in ids] == written


class Watched(SplitController):
    """Checks after every event that what was settled has stayed."""

    def receive(self, event):
        settled = {author: ids[: self.settled_tokens(author)] for author, ids in self.context.items()}
        actions = super().receive(event)
        for author, ids in settled.items():
            assert self.context[author][: len(ids)] == ids
            assert self.settled_tokens(author) >= len(ids)
        return actions


@given(
    seed=st.integers(0, 10_000),
    policy=st.sampled_from(sorted(POLICIES)),
    span=st.sampled_from([None, 1, 4]),
    size=st.integers(1, 9),
)
def test_settled_tokens_stay_whatever_comes(seed, policy, span, size):
    small, big = scripted(("small", seed)), scripted(("big", seed), tags=0)
    control = Watched(SMALL_PROMPT, BIG_PROMPT, TOKENS, POLICIES[policy](), Limits(40, span))
    drive(control, small, big, seed, lambda: size)
    assert {author: control.settled_tokens(author) for author in control.context} == {
        author: len(ids) for author, ids in control.context.items()
    }


def test_a_refused_hand_over_is_decoded_again_without_the_tag():
    control = controller(share=0.0)
    control.start()
    actions = control.receive(Produced("small", (1, OPEN)))
    assert actions == (Emit("small", (1,)), Decode("small", FIRST_SPAN_TOKENS, frozenset([OPEN, CLOSE])))
    assert control.context["small"] == [*SMALL_PROMPT, 1]
    assert control.refused == 1
    barred = FIRST_SPAN_TOKENS - 1
    assert control.receive(Produced("small", (2,)))[-1] == Decode("small", barred, frozenset([OPEN, CLOSE]))
    assert control.receive(Produced("small", (3,) * barred))[-1] == Decode("small", 31, frozenset([CLOSE]))


def open_span(control):
    control.start()
    return control.receive(Produced("small", (1, OPEN)))


def test_tokens_behind_the_opening_tag_do_not_count():
    control = controller()
    control.start()
    control.receive(Produced("small", (1, OPEN, 2, 3)))
    assert control.completion == [1]


def test_what_the_big_model_wrote_past_the_close_leaves_both_contexts():
    control = controller()
    open_span(control)
    assert control.receive(Produced("big", (2, 3, 4))) == (Probe(3),)
    actions = control.receive(Probed(3, (CloseSignal(2, -0.1, True), CloseSignal(3, -9.0, False))))
    assert actions == (Emit("big", (2, 3)), Decode("small", 37, frozenset([CLOSE])))
    assert control.context == {"small": [*SMALL_PROMPT, 1, OPEN, 2, 3, CLOSE], "big": [1, 1, 2, 3]}
    assert control.discarded_tokens == 1


def test_a_close_after_the_first_token_keeps_exactly_that_token():
    control = controller()
    open_span(control)
    control.receive(Produced("big", (2, 3)))
    control.receive(Probed(2, (CloseSignal(1, -0.1, True),)))
    assert control.segments == [("small", [1]), ("big", [2])]


def test_a_close_after_the_last_probed_token_keeps_all_of_them():
    control = controller()
    open_span(control)
    control.receive(Produced("big", (2, 3)))
    control.receive(Probed(2, (CloseSignal(2, -0.1, True),)))
    assert control.segments == [("small", [1]), ("big", [2, 3])]


def test_tokens_are_not_final_before_they_are_probed():
    control = controller()
    open_span(control)
    control.receive(Produced("big", (2, 3, 4)))
    assert control.receive(Probed(1, ())) == (Emit("big", (2,)),)
    assert control.completion == [1, 2]


def test_end_of_text_inside_a_span_ends_the_text_once():
    control = controller()
    open_span(control)
    assert control.receive(Produced("big", (2, END, 3))) == (Probe(1),)
    assert control.receive(Probed(1, ())) == (Emit("big", (2,)), Finish("stop"))
    assert control.completion == [1, 2]
    assert control.ended_in_span


def test_a_close_before_the_end_of_text_goes_first():
    control = controller()
    open_span(control)
    control.receive(Produced("big", (2, END)))
    actions = control.receive(Probed(1, (CloseSignal(1, -0.1, True),)))
    assert actions[-1] == Decode("small", 38, frozenset([CLOSE]))


def test_a_span_without_a_token_is_no_segment():
    control = controller()
    open_span(control)
    assert control.receive(Produced("big", (END,))) == (Finish("stop"),)
    assert control.segments == [("small", [1])]
    assert (control.hand_overs, control.cut_spans) == (1, 0)


def test_a_failing_big_model_gives_the_floor_back_and_is_not_asked_again():
    control = controller()
    open_span(control)
    control.receive(Produced("big", (2,)))
    assert control.receive(Failed("big")) == (Decode("small", 39, frozenset([OPEN, CLOSE])),)
    assert control.context["small"] == [*SMALL_PROMPT, 1, OPEN, CLOSE]
    assert control.receive(Produced("small", (5,)))[-1] == Decode("small", 38, frozenset([OPEN, CLOSE]))


def test_a_failing_small_model_ends_the_request():
    control = controller()
    control.start()
    assert control.receive(Failed("small")) == (Finish("error"),)


def test_nothing_happens_after_the_end():
    control = controller()
    open_span(control)
    assert control.receive(Cancelled()) == (Finish("cancelled"),)
    assert control.receive(Produced("big", (2,))) == ()
    assert control.receive(Failed("small")) == ()


def test_events_that_no_action_asked_for_are_the_drivers_bug():
    control = controller()
    control.start()
    with pytest.raises(ProtocolError, match="big model produced"):
        control.receive(Produced("big", (1,)))
    with pytest.raises(ProtocolError, match="forbidden"):
        control.receive(Produced("small", (CLOSE,)))
    with pytest.raises(ProtocolError, match="probed up to 1"):
        control.receive(Probed(1, ()))


def test_always_lets_the_big_model_write_everything():
    control = controller(Always(), max_tokens=3)
    assert control.start() == (Decode("big", 3, TOKENS.tags),)
    control.receive(Produced("big", (1, 2, 3)))
    assert control.segments == [("big", [1, 2, 3])]
    assert control.finish_reason == "length"


def test_a_span_limit_takes_back():
    control = controller(span=2)
    assert open_span(control)[-1] == Decode("big", 2, TOKENS.tags)
    control.receive(Produced("big", (2, 3)))
    assert control.receive(Probed(2, ()))[-1] == Decode("small", 37, frozenset([CLOSE]))


def test_concurrent_spans_cannot_spend_the_same_budget():
    budget = OffloadBudget(0.5)
    budget.record(small=2 * budget.span_reserve_tokens)
    controls = [SplitController([1], [1], TOKENS, Learned(), Limits(90), budget) for _ in range(3)]
    assert [open_span(control)[-1].author for control in controls] == ["big", "big", "small"]
    assert [control.refused for control in controls] == [0, 0, 1]


def test_a_span_that_outgrows_the_budget_is_cut_and_counted():
    budget = OffloadBudget(0.5, small_tokens=2 * FIRST_SPAN_TOKENS)
    control = SplitController([1], [1], TOKENS, Learned(), Limits(400), budget)
    lease = open_span(control)[-1].max_tokens
    assert lease == 2 * FIRST_SPAN_TOKENS
    control.receive(Produced("big", (2,) * lease))
    control.receive(Probed(lease, ()))
    assert control.receive(Produced("big", (3,)))[-1] == Probe(lease + 1)
    assert control.receive(Probed(lease + 1, ()))[-1].author == "small"
    assert (control.cut_spans, budget.whole_spans, budget.reserved) == (1, 0, 0)
    assert control.big_tokens == lease + 1


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_random_lands_on_its_share(share):
    control = controller(Random(share, 3, random.Random(1)), max_tokens=30_000)
    model = lambda context: [len(context) % 10]  # noqa: E731
    drive_long(control, model)
    assert control.big_tokens / len(control.completion) == pytest.approx(share, rel=0.15)


def drive_long(control, model):
    actions = control.start()
    while control.finish_reason is None:
        floor = next(action for action in actions if isinstance(action, Decode))
        actions = control.receive(Produced(floor.author, (model(control.completion)[0],)))
