"""The in-process driver against a reference that knows no cache and no controller."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from splitreason_cli.decoding.lockstep import LockstepDecoder
from splitreason_cli.decoding.pipelined import PipelinedDecoder
from splitreason_cli.decoding.rows import Request
from splitreason_cli.models.backend import SessionPair
from splitreason_cli.models.cached import CachedModel
from splitreason_cli.models.in_process import InProcessBackend
from splitreason_cli.models.kv_rows import KeyValueRows
from splitreason_cli.models.loading import LoadedModel, load_pair
from splitreason_cli.models.pair import Pair
from splitreason_cli.models.sampling import GREEDY, TOP_LOGPROBS, Sampling
from splitreason_cli.split.budget import OffloadBudget
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import (
    Always,
    Learned,
    MissingSignalError,
    Never,
    Policy,
    Prediction,
    Random,
    Signal,
)
from splitreason_cli.tasks import mini


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


@pytest.fixture(scope="module")
def problems():
    rng = random.Random(5)
    return [mini.sample_problem(rng).text for _ in range(12)]


def tiny_model(seed, vocabulary=40):
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    return Qwen2ForCausalLM(config).eval()


def last_logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1]


def test_each_model_ends_a_text_by_its_own_tokens(pair, problems):
    small, big = pair
    end = min(big.token_ids.end_of_text)
    # A fine-tune may have kept the end of a base model: what ends the other's text is an ordinary token to it.
    other = replace(small, generation_config=None)
    other.__dict__["token_ids"] = replace(small.token_ids, end_of_text=frozenset([small.token_ids.close + 1]))
    decoder = LockstepDecoder(Pair.of(other, big, hint=True), Limits(300))
    (controller,) = decoder.decode([Request(problems[0], Always(), 0)])
    assert controller.finish_reason == "stop"
    assert end not in controller.completion


def naive_split(small, big, problem, max_tokens):
    """Greedy split decoding that sends the whole text through a model for every token."""
    tags = small.token_ids
    own = small.prompt_ids(problem, hint=True)
    plain = big.prompt_ids(problem, hint=False)
    text, author, authors = [], "small", []
    while len(text) < max_tokens:
        if author == "small":
            logits = last_logits(small.model, own)
            logits[tags.close] = -torch.inf
        else:
            logits = last_logits(big.model, plain + text)
            logits[[tags.open, tags.close]] = -torch.inf
        token = int(logits.argmax())
        if token in tags.end_of_text:
            break
        if token == tags.open:
            own.append(token)
            author = "big"
            continue
        text.append(token)
        own.append(token)
        authors.append(author)
        if author == "big" and int(last_logits(small.model, own).argmax()) == tags.close:
            own.append(tags.close)
            author = "small"
    return text, authors


def test_split_decoding_equals_the_naive_reference_token_by_token(pair, problems):
    small, big = pair
    decoded = LockstepDecoder(Pair.of(small, big, hint=True), Limits(150)).decode(
        [Request(p, Learned()) for p in problems]
    )
    handed_over = 0
    for problem, control in zip(problems, decoded, strict=True):
        text, authors = naive_split(small, big, problem, 150)
        assert control.completion == text
        assert [author for author, ids in control.segments for _ in ids] == authors
        handed_over += control.hand_overs
    assert handed_over >= len(problems) / 2


@pytest.mark.parametrize("policy", [Learned, Never, Always, lambda: Random(0.2, 3, random.Random(1))])
def test_a_batch_decodes_what_each_request_decodes_alone(pair, problems, policy):
    decoder = LockstepDecoder(Pair.of(*pair, hint=True), Limits(120))
    together = decoder.decode([Request(p, policy()) for p in problems])
    alone = [decoder.decode([Request(p, policy())])[0] for p in problems]
    assert [c.segments for c in together] == [c.segments for c in alone]


def test_sampling_depends_on_the_seed_and_not_on_the_batch(pair, problems):
    decoder = LockstepDecoder(Pair.of(*pair, hint=True), Limits(120), Sampling(temperature=3.0, top_p=0.99))
    together = decoder.decode([Request(p, Learned(), seed=n) for n, p in enumerate(problems)])
    alone = decoder.decode([Request(problems[3], Learned(), seed=3)])[0]
    other = decoder.decode([Request(problems[3], Learned(), seed=4)])[0]
    assert together[3].completion == alone.completion
    assert other.completion != alone.completion


def test_every_token_is_forwarded_once_by_each_model(pair, problems):
    small, big = pair
    decoder = LockstepDecoder(Pair.of(small, big, hint=True), Limits(150))
    controls = decoder.decode([Request(p, Learned()) for p in problems])
    # The newest token of a context has nothing left to predict, so it may stay unread.
    for author in ("small", "big"):
        needed = sum(len(c.context[author]) for c in controls if author == "small" or c.hand_overs)
        assert decoder.forwarded_tokens[author] <= needed
    assert decoder.forwarded_tokens["small"] >= sum(len(c.context["small"]) - 1 for c in controls)


def test_the_big_model_never_reads_a_tag_or_the_hint(pair, problems):
    small, big = pair
    control = LockstepDecoder(Pair.of(small, big, hint=True), Limits(150)).decode([Request(problems[0], Learned())])[0]
    tags = small.token_ids.tags
    assert tags <= set(control.context["small"])
    assert not tags & set(control.context["big"])
    assert len(control.context["big"]) == len(big.prompt_ids(problems[0], hint=False)) + len(control.completion)


def test_the_prompts_example_tags_are_no_hand_over(pair, problems):
    control = LockstepDecoder(Pair.of(*pair, hint=True), Limits(1)).decode([Request(problems[0], Learned())])[0]
    assert control.hand_overs == 0
    assert len(control.completion) == 1


def test_a_shared_budget_holds_over_the_batch(pair, problems):
    for share in (0.0, 0.02, 0.05):
        budget = OffloadBudget(share)
        controls = LockstepDecoder(Pair.of(*pair, hint=True), Limits(150)).decode(
            [Request(p, Learned()) for p in problems], budget
        )
        big = sum(c.big_tokens for c in controls)
        assert big <= share * sum(len(c.completion) for c in controls)
        assert sum(c.refused for c in controls) > 0


def test_the_length_limit_is_kept(pair, problems):
    controls = LockstepDecoder(Pair.of(*pair, hint=True), Limits(7)).decode([Request(p, Learned()) for p in problems])
    assert {len(c.completion) for c in controls} == {7}
    assert {c.finish_reason for c in controls} == {"length"}


def test_rows_that_advance_unevenly_keep_their_own_caches():
    model = tiny_model(0)
    cached = CachedModel(LoadedModel("tiny", model, None), rows=3)
    rng = random.Random(0)
    contexts = [[rng.randrange(40) for _ in range(n)] for n in (2, 9, 5)]
    for _ in range(200):
        rows = sorted(rng.sample(range(3), rng.randint(1, 3)))
        for row in rows:
            contexts[row] += [rng.randrange(40) for _ in range(rng.randint(1, 4))]
        logits = cached.next_logits(rows, [contexts[row] for row in rows])
    expected = torch.stack([last_logits(model, contexts[row]) for row in rows])
    assert max(map(len, contexts)) > 256, "the cache should have grown twice"
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("longest_step", [1, 3])
def test_rows_that_end_are_freed_and_the_others_go_on(longest_step):
    model = tiny_model(0)
    cached = CachedModel(LoadedModel("tiny", model, None), rows=6)
    rng = random.Random(0)
    contexts = [[rng.randrange(40) for _ in range(rng.randint(1, 9))] for _ in range(6)]
    kept = list(range(6))
    while kept:
        cached.keep(kept)
        assert all(len(layer.keys) == len(kept) for layer in cached.cache.layers if layer.is_initialized)
        for _ in range(30):
            rows = sorted(rng.sample(kept, rng.randint(1, len(kept))))
            for row in rows:
                contexts[row] += [rng.randrange(40) for _ in range(rng.randint(1, longest_step))]
            logits = cached.next_logits(rows, [contexts[row] for row in rows])
            expected = torch.stack([last_logits(model, contexts[row]) for row in rows])
            torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
        kept.remove(rng.choice(kept))


def test_a_context_that_was_cut_back_is_read_from_where_it_differs():
    model = tiny_model(0)
    cached = CachedModel(LoadedModel("tiny", model, None), rows=1)
    rng = random.Random(0)
    context = [1, 2, 3, 4, 5, 6]
    for _ in range(40):
        expected = last_logits(model, context)
        torch.testing.assert_close(cached.next_logits([0], [context])[0], expected, atol=1e-4, rtol=1e-4)
        context = context[: rng.randint(3, len(context))] + [rng.randrange(40) for _ in range(rng.randint(0, 3))]


def test_a_context_given_from_where_it_stays_is_read_as_a_whole_one_is():
    model = tiny_model(0)
    cached = CachedModel(LoadedModel("tiny", model, None), rows=1)
    rng = random.Random(1)
    context = [1, 2, 3, 4, 5, 6]
    cached.next_logits([0], [context])
    for _ in range(60):
        stays = rng.randint(3, len(context))
        context = context[:stays] + [rng.randrange(40) for _ in range(rng.randint(0, 3))]
        after = rng.randint(0, stays)
        logits = cached.next_logits([0], [context[after:]], [after])[0]
        torch.testing.assert_close(logits, last_logits(model, context), atol=1e-4, rtol=1e-4)
        assert cached.read[0] == context


class Counted(list):
    """Counts the items that are looked at."""

    looked_at = 0

    def __getitem__(self, place):
        self.looked_at += len(range(*place.indices(len(self)))) if isinstance(place, slice) else 1
        return super().__getitem__(place)

    def __iter__(self):
        self.looked_at += len(self)
        return super().__iter__()


def test_what_stays_is_not_looked_at_again():
    cached = CachedModel(LoadedModel("tiny", tiny_model(0), None), rows=1)
    cached.read[0] = Counted()
    context = [n % 40 for n in range(300)]
    cached.next_logits([0], [context], [0])
    for token in range(40):
        cached.next_logits([0], [[context[-1], token]], [len(context) - 1])
        context.append(token)
    assert cached.read[0] == context
    assert cached.read[0].looked_at <= 40


def test_more_than_was_read_cannot_stay():
    cached = CachedModel(LoadedModel("tiny", tiny_model(0), None), rows=1)
    cached.next_logits([0], [[1, 2, 3]])
    with pytest.raises(ValueError, match="has read 3 tokens, not 4"):
        cached.next_logits([0], [[5]], [4])


@pytest.mark.parametrize("policy", [Learned, Always, lambda: Random(0.2, 3, random.Random(1))])
def test_a_step_hands_over_what_is_new_and_a_token_that_may_be_cut(pair, problems, policy, monkeypatch):
    handed, next_logits = [], CachedModel.next_logits

    def counted(self, rows, contexts, after):
        handed.extend(map(len, contexts))
        return next_logits(self, rows, contexts, after)

    monkeypatch.setattr(CachedModel, "next_logits", counted)
    decoder = LockstepDecoder(Pair.of(*pair, hint=True), Limits(150))
    controls = decoder.decode([Request(p, policy()) for p in problems])
    forwarded = sum(decoder.forwarded_tokens.values())
    assert forwarded <= sum(handed) <= forwarded + sum(control.big_tokens for control in controls)


def test_only_what_differs_is_read_again():
    cached = CachedModel(LoadedModel("tiny", tiny_model(0), None), rows=1)
    cached.next_logits([0], [[1, 2, 3, 4]])
    cached.next_logits([0], [[1, 2, 5, 6]])
    assert cached.forwarded_tokens == 4 + 2


def test_asking_again_without_new_tokens_forwards_nothing():
    cached = CachedModel(LoadedModel("tiny", tiny_model(0), None), rows=1)
    first = cached.next_logits([0], [[1, 2, 3]])
    assert cached.next_logits([0], [[1, 2, 3]]).equal(first)
    assert cached.forwarded_tokens == 3


def test_the_mask_lets_a_token_see_its_own_row_up_to_itself():
    cache = KeyValueRows(rows=2, layers=1)
    positions = torch.tensor([[4], [1]])
    mask = cache.prepare(torch.tensor([0, 1]), positions, torch.zeros(2, 1, dtype=torch.bool))
    assert mask[:, 0, 0].tolist() == [[True] * 5, [True, True, False, False, False]]


class Told(Policy):
    """The small model alone; keeps what it is told of each next token."""

    name = "told"
    needs = frozenset((Signal.ENTROPY, Signal.TOP_LOGPROBS))
    may_open = False

    def __init__(self):
        self.predictions = []

    def opens(self, place):
        self.predictions.append(Prediction(place.entropy, place.top_logprobs))
        return False


def test_here_and_pipelined_a_policy_is_told_the_model_s_own_distribution(pair, problems):
    both, policies = Pair.of(*pair, hint=True), (Told(), Told())
    (control,) = LockstepDecoder(both, Limits(12)).decode([Request(problems[0], policies[0])])

    async def pipelined():
        with (
            ThreadPoolExecutor(1) as thread,
            both.controller(both.prompts(problems[0]), policies[1], Limits(12)) as other,
        ):
            small, big = (InProcessBackend(loaded, thread).session() for loaded in pair)
            async with aclosing(PipelinedDecoder(other, SessionPair(small, big), GREEDY).run()) as steps:
                async for _ in steps:
                    pass
            return other.completion

    assert asyncio.run(pipelined()) == control.completion
    ids = [*control.small_prompt, *control.completion]
    with torch.inference_mode():
        logprobs = pair[0].model(torch.tensor([ids])).logits[0, len(control.small_prompt) - 1 : -1].log_softmax(-1)
    entropies = (-logprobs.exp() * logprobs).sum(-1).tolist()
    for policy in policies:
        assert [told.entropy for told in policy.predictions] == pytest.approx(entropies, abs=1e-3)
        assert [told.top_logprobs[0][0] for told in policy.predictions] == control.completion
        for told, row in zip(policy.predictions, logprobs, strict=True):
            assert len(told.top_logprobs) == TOP_LOGPROBS
            assert [logprob for _, logprob in told.top_logprobs] == pytest.approx(
                row.topk(TOP_LOGPROBS).values.tolist(), abs=1e-3
            )


class Curious(Policy):
    """The small model alone; keeps whether it is told more than the entropy that it names."""

    name = "curious"
    needs = frozenset((Signal.ENTROPY,))
    may_open = False

    def __init__(self):
        self.heard = []

    def opens(self, place):
        try:
            self.heard.append(place.top_logprobs)
        except MissingSignalError:
            self.heard.append(place.entropy)
        return False


def test_what_a_policy_is_told_does_not_depend_on_those_in_its_batch(pair, problems):
    decoder = LockstepDecoder(Pair.of(*pair, hint=True), Limits(12))
    alone, beside = Curious(), Curious()
    decoder.decode([Request(problems[0], alone)])
    decoder.decode([Request(problems[0], beside), Request(problems[1], Told())])
    assert len(alone.heard) > 5
    assert beside.heard == pytest.approx(alone.heard, abs=1e-3)
