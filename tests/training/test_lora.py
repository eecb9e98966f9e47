"""Adapters: what they train, and that the merged model is the one that was trained."""

import pytest
import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from splitreason_cli.errors import UsageError
from splitreason_cli.training.lora import lora_config, merged, require_rank, without_bias

TAGS = [3, 7]
IDS = torch.arange(12)[None]


def tiny(*, tied):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).eval()


def adapted(model, tokens=TAGS):
    policy = get_peft_model(model, lora_config(model, 4, None, tokens))
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.normal_()
    return policy.eval()


@pytest.mark.parametrize("tied", [True, False])
def test_merged_and_reloaded_the_model_computes_what_it_was_trained_to(tied, tmp_path):
    policy = adapted(tiny(tied=tied))
    with torch.no_grad():
        wanted = policy(IDS).logits
        plain = merged(policy)
        plain.save_pretrained(tmp_path)
        reloaded = AutoModelForCausalLM.from_pretrained(tmp_path)
        assert type(plain) is type(reloaded) is LlamaForCausalLM
        assert torch.allclose(reloaded(IDS).logits, wanted, atol=1e-5)
        assert not torch.allclose(tiny(tied=tied)(IDS).logits, wanted, atol=0.1)


@pytest.mark.parametrize(("tied", "embeddings"), [(True, 1), (False, 2)])
def test_only_adapters_and_the_rows_of_the_tags_are_trained(tied, embeddings):
    policy = get_peft_model(model := tiny(tied=tied), lora_config(model, 4, None, TAGS))
    trained = {name: one for name, one in policy.named_parameters() if one.requires_grad}
    rows = [one for name, one in trained.items() if "trainable_tokens" in name]
    assert [tuple(one.shape) for one in rows] == [(len(TAGS), 16)] * embeddings
    adapters = [name for name in trained if "lora_" in name]
    assert len(adapters) == 2 * 7
    assert len(adapters) + len(rows) == len(trained)
    assert not any("lm_head" in name for name in adapters)


@pytest.mark.parametrize("tied", [True, False])
def test_no_other_row_of_the_embeddings_moves(tied):
    before, after = tiny(tied=tied), merged(adapted(tiny(tied=tied)))
    for get in (LlamaForCausalLM.get_input_embeddings, LlamaForCausalLM.get_output_embeddings):
        moved = (get(before).weight != get(after).weight).any(-1)
        assert moved.nonzero().flatten().tolist() == TAGS


def test_a_wrapped_output_embedding_has_the_bias_that_trl_reads():
    policy = adapted(tiny(tied=True))
    without_bias(policy)
    assert policy.get_output_embeddings().bias is None


def test_without_tags_no_row_is_trained_and_without_a_rank_there_is_no_adapter():
    model = tiny(tied=True)
    assert lora_config(model, 4, None).trainable_token_indices is None
    assert lora_config(model, 0, None, TAGS) is None
    assert merged(model) is model


def test_the_scale_is_twice_the_rank_unless_it_is_given():
    model = tiny(tied=True)
    assert [lora_config(model, 4, alpha).lora_alpha for alpha in (None, 16)] == [8, 16]
    with pytest.raises(UsageError, match="Add --lora-rank"):
        require_rank(0, 16)


@pytest.mark.parametrize("sharder", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_adapters_of_weights_that_are_spread_over_ranks_are_refused(monkeypatch, sharder):
    monkeypatch.setenv(sharder, "true")
    with pytest.raises(UsageError, match="cannot be merged"):
        require_rank(4, None)
    require_rank(0, None)
