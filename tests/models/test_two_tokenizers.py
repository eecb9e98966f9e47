"""The in-process driver with two models whose tokenizers have nothing in common."""

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from splitreason_cli.decoding.lockstep import LockstepDecoder
from splitreason_cli.decoding.rows import Request
from splitreason_cli.models.loading import LoadedModel
from splitreason_cli.models.pair import Pair
from splitreason_cli.split.controller import SplitController
from splitreason_cli.split.events import Decode, Probe, Probed, Produced
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import CloseSignal, Learned
from splitreason_cli.split.vocabulary import bytes_of
from tests.trained_tokenizers import byte_level, llama_2

PROBLEMS = ["Add 12 and 30.", "你好?", "So x² = 7", "🙂", "the numbers", "\n\n"]


def untrained(name, tokenizer, seed):
    """A model that writes nonsense, and tags often."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    loaded = LoadedModel(name, Qwen2ForCausalLM(config).eval(), tokenizer)
    with torch.no_grad():
        loaded.model.lm_head.weight[list(loaded.token_ids.tags)] *= 2.2
    return loaded


@pytest.fixture(scope="module")
def pair():
    return untrained("small", byte_level(), 1), untrained("big", llama_2(), 2)


def last_logits(loaded, ids):
    with torch.no_grad():
        return loaded.model(input_ids=torch.tensor([ids])).logits[0, -1]


def without_cache(small, big, problem, limits):
    """Greedy decoding that sends the whole context through a model for every token."""
    control = SplitController(
        small.prompt_ids(problem, hint=True),
        big.prompt_ids(problem, hint=False),
        {"small": small.token_ids, "big": big.token_ids},
        Learned(),
        limits,
        vocabularies={"small": small.vocabulary, "big": big.vocabulary},
    )
    actions = control.start()
    while control.finish_reason is None:
        action = next(action for action in actions if isinstance(action, Decode | Probe))
        if isinstance(action, Probe):
            best = int(last_logits(small, control.small_context_at(action.upto)).argmax())
            signal = CloseSignal(action.upto, 0.0, best == small.token_ids.close)
            actions = control.receive(Probed(action.upto, (signal,)))
        else:
            logits = last_logits({"small": small, "big": big}[action.author], control.context[action.author])
            logits[list(action.forbid)] = -torch.inf
            actions = control.receive(Produced(action.author, (int(logits.argmax()),)))
    return control


def test_decoding_with_two_tokenizers_equals_decoding_without_a_cache(pair):
    limits = Limits(60, max_span_tokens=12)
    decoder = LockstepDecoder(Pair.of(*pair, hint=True), limits)
    controls = decoder.decode([Request(problem, Learned()) for problem in PROBLEMS])
    for problem, control in zip(PROBLEMS, controls, strict=True):
        expected = without_cache(*pair, problem, limits)
        assert control.segments == expected.segments
        assert control.context == expected.context
    assert sum(control.hand_overs for control in controls) > 4
    assert sum(control.hand_overs - control.cut_spans for control in controls) > 0


def test_the_text_of_a_completion_is_what_both_models_have_read(pair):
    decoder = LockstepDecoder(Pair.of(*pair, hint=True), Limits(60, max_span_tokens=12))
    for control in decoder.decode([Request(problem, Learned()) for problem in PROBLEMS]):
        for loaded, author in zip(pair, ("small", "big"), strict=True):
            prompt = {"small": control.small_prompt, "big": control.big_prompt}[author]
            read = [token for token in control.context[author][len(prompt) :] if token not in loaded.token_ids.tags]
            assert bytes_of(loaded.vocabulary, read).decode("utf-8", "replace") == decoder.pair.text(control)
