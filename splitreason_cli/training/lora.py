"""Low-rank adapters (LoRA, arXiv:2106.09685) by peft: trained in place of the weights, merged into them at the end."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..models.protocols import CausalLM

if TYPE_CHECKING:
    from peft import LoraConfig


def require_rank(rank: int, alpha: int | None) -> None:
    """Raises UsageError for a scale without an adapter that it could scale, and where weights are spread over ranks."""
    if alpha is not None and not rank:
        raise UsageError("--lora-alpha scales an adapter, and there is none", "Add --lora-rank, such as 16")
    sharders = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    if rank and any(os.environ.get(name, "").lower() == "true" for name in sharders):
        hint = "Launch with --multi_gpu: adapters leave room for whole weights"
        raise UsageError("adapters cannot be merged into weights that FSDP or DeepSpeed spreads over ranks", hint)


def lora_config(model: CausalLM, rank: int, alpha: int | None, tokens: Sequence[int] = ()) -> "LoraConfig | None":
    """Adapters of every linear layer but the output embedding; None if `rank` is 0, for training all weights.

    Args:
        alpha: the adapters' output is scaled by `alpha / rank`; None is twice the rank.
        tokens: ids whose rows of the embeddings are trained whole, such as those of new tags.
    """
    if not rank:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha or 2 * rank,
        target_modules="all-linear",
        trainable_token_indices={name: list(tokens) for name in _embeddings(model)} if tokens else None,
        task_type="CAUSAL_LM",
    )


def without_bias(model: CausalLM) -> None:
    """TRL's loss reads the output embedding's bias, which peft's wrapper of it does not have."""
    head = model.get_output_embeddings()
    if not hasattr(head, "bias"):
        head.bias = None


def merged(model: CausalLM) -> CausalLM:
    """The model with its adapters, if it has any, added to its weights: one that needs no peft."""
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return model
    whole: CausalLM = model.merge_and_unload()
    return whole


def _embeddings(model: CausalLM) -> list[str]:
    """The names of the modules with a row for each token. Peft itself follows an output embedding that is tied."""
    wanted: list[object] = [model.get_input_embeddings()]
    if not model.config.tie_word_embeddings:
        wanted.append(model.get_output_embeddings())
    return [name for name, module in model.named_modules() if any(module is one for one in wanted)]
