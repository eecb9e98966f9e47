"""What the systems of a benchmark are called, and how those that copy split take its measure."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.errors import UsageError
from splitreason_cli.measuring.systems.big import BigSystem
from splitreason_cli.measuring.systems.entropy import entropy_threshold, matched_entropy
from splitreason_cli.measuring.systems.named import SYSTEMS, split_names, written
from splitreason_cli.measuring.systems.oracle import OracleSystem
from splitreason_cli.measuring.systems.random import RandomCopySystem, RandomShareSystem, plan_of, scattered
from splitreason_cli.measuring.systems.relay import matched_relay
from splitreason_cli.measuring.systems.small import SmallSystem
from splitreason_cli.measuring.systems.split import SplitSystem
from splitreason_cli.measuring.tally import tally
from splitreason_cli.records.data import Generation, Segment
from splitreason_cli.split.controller import SplitController
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import EntropyRecorder, Placed
from tests.scripted import TOKENS, drive, entropy_at, scripted
from tests.scripted_backend import in_chunks

lengths = st.lists(st.integers(1, 6), max_size=8)


def generation(*segments, sample=0, problem="a", seconds=None):
    made = tuple(Segment(author=author, token_ids=(1,) * count, text="") for author, count in segments)
    big = sum(count for author, count in segments if author == "big")
    return Generation(
        id=problem,
        system="split",
        sample=sample,
        problem="p",
        answer="1",
        segments=made,
        finish_reason="stop",
        correct=True,
        tokens=sum(count for _, count in segments),
        big_tokens=big,
        spans=sum(author == "big" for author, _ in segments),
        refused=0,
        cut=0,
        unclosed=0,
        seconds=1.0,
        hand_over_seconds=seconds,
    )


def result(*generations):
    return tally(generations).result("split", None, "learned", task="mini", samples=1)


def placed(spans, seed, max_tokens, end):
    """A scripted completion under `Placed`; the lengths of its spans and the small tokens before each."""
    policy = Placed(spans)
    controller = SplitController([0], [0], TOKENS, policy, Limits(max_tokens))
    drive(controller, scripted(seed, tags=0, end=end), scripted(f"{seed}/big", tags=0, end=0), seed, in_chunks(seed, 4))
    found, small = [], 0
    for author, ids in controller.segments:
        if author == "big":
            found.append((small, len(ids)))
        else:
            small += len(ids)
    return controller, found


@given(lengths, st.integers(0, 30), st.integers(0, 999))
def test_random_places_keep_number_and_lengths(spans, small_tokens, seed):
    found = scattered(spans, small_tokens, random.Random(seed))
    assert sorted(length for _, length in found) == sorted(spans)
    places = [place for place, _ in found]
    assert places == sorted(places)
    assert all(0 <= place < max(1, small_tokens) for place in places)
    if len(spans) <= small_tokens:
        assert len(set(places)) == len(places)


@given(lengths, st.integers(1, 30), st.integers(0, 999))
def test_a_completion_that_does_not_end_early_has_exactly_the_spans(spans, small_tokens, seed):
    planned = scattered(spans, small_tokens, random.Random(seed))
    controller, found = placed(planned, seed, max_tokens=small_tokens + sum(spans), end=0)
    assert found == planned
    assert controller.hand_overs == len(spans)
    assert controller.big_tokens == sum(spans)


@given(lengths, st.integers(1, 30), st.integers(0, 999))
def test_one_that_ends_early_has_the_first_of_them(spans, small_tokens, seed):
    planned = scattered(spans, small_tokens, random.Random(seed))
    controller, found = placed(planned, seed, max_tokens=40, end=0.1)
    assert [span[0] for span in found] == [span[0] for span in planned[: len(found)]]
    whole = found if controller.finish_reason == "stop" else found[:-1]
    assert whole == planned[: len(whole)]


def test_places_are_drawn_over_the_whole_length():
    seen = {scattered([2], 5, random.Random(seed))[0][0] for seed in range(200)}
    assert seen == set(range(5))


def test_a_plan_holds_the_spans_of_each_sample():
    plan, digest = plan_of(
        [generation(("small", 3), ("big", 2), ("small", 1), ("big", 4)), generation(("small", 5), sample=1)]
    )
    assert plan == {(0, "a"): ((2, 4), 4), (1, "a"): ((), 5)}
    assert digest != plan_of([generation(("small", 5), sample=1)])[1]


def test_relay_takes_turns_that_give_the_share():
    assert matched_relay(result(generation(("small", 190), ("big", 10), ("small", 0)))) == "relay(10,190)"
    assert matched_relay(result(generation(("small", 60), ("big", 5), ("big", 5)))) == "relay(5,30)"
    assert matched_relay(result(generation(("small", 60)))) == "never"
    assert matched_relay(result(generation(("big", 60)))) == "always"


def test_entropy_opens_as_often_as_the_share_asks():
    entropies = [number / 100 for number in range(100)]
    # Nine small tokens to a span of one token: every tenth position opens.
    assert entropy_threshold(entropies, 0.1, 1) == 0.9
    assert entropy_threshold(entropies, 0.0, 1) == float("inf")
    assert matched_entropy(result(generation(("small", 9), ("big", 1))), entropies) == "entropy(0.9,1)"
    assert matched_entropy(result(generation(("small", 9))), entropies) == "never"
    assert matched_entropy(result(generation(("small", 9), ("big", 1))), [-1e-8] * 100) == "entropy(0.0,1)"


def test_a_recorder_hears_of_every_small_token():
    recorder = EntropyRecorder()
    controller = SplitController([0], [0], TOKENS, recorder, Limits(12))
    drive(controller, scripted(3, tags=0, end=0), scripted(4), 3, in_chunks(3, 4))
    contexts = [[0, *controller.completion[:at]] for at in range(12)]
    assert recorder.entropies == [entropy_at(context) for context in contexts]
    assert controller.hand_overs == 0


def test_names_are_split_outside_parentheses():
    assert split_names("small, relay(16,64),entropy(1.5, 16) ,split") == [
        "small", "relay(16,64)", "entropy(1.5, 16)", "split",
    ]  # fmt: skip


def test_a_policy_written_with_arguments_is_a_system():
    names = ["relay(16,64)", "keyword(Wait, However)", "random(5%)", "learned(0.3)"]
    systems = [written(name) for name in names]
    assert [(system.name, system.policy_name) for system in systems] == list(zip(names, names, strict=True))
    assert [system.needs_tags for system in systems] == [False, False, False, True]
    for name in ("keyword", "keyword()", "huge"):
        with pytest.raises(UsageError, match="unknown system"):
            written(name)
    with pytest.raises(UsageError, match="is no name"):
        written("relay(16")


def test_policies_have_the_names_of_what_was_run():
    systems = [
        SmallSystem(),
        BigSystem(),
        OracleSystem(),
        RandomCopySystem(0.05),
        RandomShareSystem(0.1, 3),
        SplitSystem(text="learned(0.3)"),
    ]
    names = [system.policy_name for system in systems]
    assert names == ["never", "always", "pattern", "placed", "random(0.1000, 3)", "learned(0.3)"]


def test_every_system_is_called_what_it_is_registered_as():
    made = [kind(offload_budget=0.05) if kind.copies else kind() for kind in SYSTEMS.values()]
    assert [system.name for system in made] == list(SYSTEMS)
    keys = [repr(system.settings()) for system in (*made, written("relay(16)"), written("relay(17)"))]
    assert len(set(keys)) == len(keys)


def test_a_copy_has_no_cap_of_its_own():
    assert RandomCopySystem(0.05).cap is None
    assert SplitSystem(offload_budget=0.05).cap == 0.05
