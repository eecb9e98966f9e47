"""What stands in the loss: the small model's decisions, as rollouts sampled them, and nothing of the big model's."""

import pytest
import torch

from splitreason_cli.models.loading import load_pair
from splitreason_cli.models.pair import Pair
from splitreason_cli.records import markup
from splitreason_cli.records.data import Problem
from splitreason_cli.split.decisions import Role, roles
from splitreason_cli.split.limits import Limits
from splitreason_cli.store.embedded import MINI_PROBLEMS
from splitreason_cli.store.jsonl import decode, read_lines
from splitreason_cli.training.grpo_trainer import decision_logprobs
from splitreason_cli.training.rollouts import RolloutDecoder
from splitreason_cli.training.solo import SoloDecoder

TEMPERATURE = 0.9


@pytest.fixture(scope="module")
def pair():
    return load_pair("mini-split", "mini-big")


@pytest.fixture(scope="module")
def rollouts(pair):
    problems = [decode(line, Problem.from_dict).problem for line in list(read_lines(MINI_PROBLEMS))[:12]]
    # Short spans, so that some are closed by the limit.
    decoder = RolloutDecoder(Pair.of(*pair, hint=True), Limits(150, max_span_tokens=4), TEMPERATURE)
    return decoder.rollouts(problems, [f"s{n}" for n in range(12)])


def scored(pair, rollout):
    ids = torch.tensor([[*rollout.prompt_ids, *rollout.completion_ids]])
    length = len(rollout.completion_ids)
    logits = pair[0].model(ids).logits[:, -length - 1 : -1].float() / TEMPERATURE
    tags = pair[0].token_ids
    return decision_logprobs(logits, ids[:, -length:], tags.open, tags.close)[0]


def test_rollout_and_trainer_agree_on_every_decision(pair, rollouts):
    for rollout in rollouts:
        mask = torch.tensor(rollout.decided).bool()
        with torch.no_grad():
            found = scored(pair, rollout)
        assert found[mask].tolist() == pytest.approx(torch.tensor(rollout.logprobs)[mask].tolist(), abs=1e-5)
    assert sum(rollout.spans for rollout in rollouts) >= 12


def test_what_was_not_decided_is_masked(pair, rollouts):
    tags = pair[0].token_ids
    for rollout in rollouts:
        found = roles(rollout.completion_ids, tags.open, tags.close)
        for role, is_decided in zip(found, rollout.decided, strict=True):
            assert role is not Role.OTHER or not is_decided
            assert role not in (Role.FREE, Role.GO_ON) or is_decided
        closes = [n for role, n in zip(found, rollout.decided, strict=True) if role is Role.CLOSE]
        assert sum(closes) == rollout.closed_spans


def test_the_big_models_words_have_no_gradient(pair, rollouts):
    """The score of going on is the same whatever the big model wrote next; that of one's own words is not."""
    tags = pair[0].token_ids
    rollout = max(rollouts, key=lambda one: one.big_tokens)
    logits = torch.randn(1, len(rollout.completion_ids), 400, dtype=torch.float64, requires_grad=True)
    completion = torch.tensor([rollout.completion_ids])
    big = [at for at, role in enumerate(roles(rollout.completion_ids, tags.open, tags.close)) if role is Role.GO_ON]
    assert big
    decision_logprobs(logits, completion, tags.open, tags.close)[0, big].sum().backward()
    for at in big:
        gradient = logits.grad[0, at]
        others = torch.ones(400, dtype=torch.bool)
        others[tags.close] = False
        # Moving mass between words leaves closing or going on as they are: the gradient is the words' softmax, scaled.
        within = logits.detach()[0, at][others].softmax(0)
        scale = gradient[others].sum()
        assert gradient[others].tolist() == pytest.approx((scale * within).tolist(), abs=1e-9)
        assert float(gradient[tags.close]) == pytest.approx(-float(scale))
        assert float(gradient[tags.close]) < 0


def test_scores_have_the_gradient_of_their_finite_differences():
    completion = torch.tensor([[1, 3, 2, 1, 4, 0]])
    logits = torch.randn(1, 6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: decision_logprobs(x, completion, 3, 4), logits)


def test_all_decisions_at_a_place_have_probability_one_together():
    logits = torch.randn(1, 1, 5, dtype=torch.float64)
    words = [decision_logprobs(logits, torch.tensor([[token]]), 3, 4).exp() for token in (0, 1, 2, 3)]
    assert float(sum(words)) == pytest.approx(1)
    spans = torch.randn(1, 3, 5, dtype=torch.float64)
    close, go_on = (decision_logprobs(spans, torch.tensor([[3, 1, last]]), 3, 4)[0, 2].exp() for last in (4, 0))
    assert float(close + go_on) == pytest.approx(1)


def test_equal_seeds_give_equal_rollouts(pair, rollouts):
    problems = [decode(line, Problem.from_dict).problem for line in list(read_lines(MINI_PROBLEMS))[:3]]
    decoder = RolloutDecoder(Pair.of(*pair, hint=True), Limits(150, max_span_tokens=4), TEMPERATURE)
    again = decoder.rollouts(problems, [f"s{n}" for n in range(3)])
    assert [one.completion_ids for one in again] == [one.completion_ids for one in rollouts[:3]]


def test_argmax_closing_leaves_spans_undecided(pair):
    problems = [decode(line, Problem.from_dict).problem for line in list(read_lines(MINI_PROBLEMS))[:4]]
    decoder = RolloutDecoder(Pair.of(*pair, hint=True), Limits(150), TEMPERATURE, sample_closing=False)
    tags = pair[0].token_ids
    for rollout in decoder.rollouts(problems, list("abcd")):
        found = roles(rollout.completion_ids, tags.open, tags.close)
        assert [role is Role.FREE for role in found] == [bool(one) for one in rollout.decided]
        assert rollout.spans


def test_solo_rollouts_are_the_small_model_s_alone(pair):
    problems = [decode(line, Problem.from_dict).problem for line in list(read_lines(MINI_PROBLEMS))[:6]]
    decoder = SoloDecoder(pair[0], 150, 1e-4, hint=True)
    rollouts = decoder.rollouts(problems, list("abcdef"))
    for problem, rollout in zip(problems, rollouts, strict=True):
        prompt = pair[0].prompt_ids(problem, hint=True)
        greedy = pair[0].model.generate(torch.tensor([prompt]), max_new_tokens=150, do_sample=False)
        assert rollout.completion_ids == tuple(greedy[0, len(prompt) :].tolist())
        assert set(rollout.decided) == {1}
        assert rollout.tagged_text.count(markup.OPEN) == rollout.spans
        assert markup.OPEN not in rollout.text
        assert sum(len(ids) for _, ids in rollout.segments) == rollout.tokens
    assert sum(rollout.big_tokens for rollout in rollouts) > 0
