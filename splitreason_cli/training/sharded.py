"""The policy of a GRPO run with all its parameters on each rank, however the trainer spreads them.

Rollouts end at different times on different ranks, but a forward of a model that FSDP or ZeRO-3 has sharded is
collective: with unequal numbers of them the ranks wait for each other for ever. Agreeing on the number, with idle
forwards on the ranks that are done, would gather every parameter again for every token. So the parameters are gathered
once a rollout, and its forwards concern nobody else.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..models.protocols import CausalLM
from .protocols import Trainer

if TYPE_CHECKING:
    from torch.nn import Module


class WholePolicy:
    """Make it before training begins, as FSDP shards the trainer's model in place.

    Under FSDP the rollouts read a copy of the model, which costs each device one whole set of weights in the precision
    of the training's forwards. Under ZeRO-3 TRL gathers the parameters in place, for as long as a rollout takes.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.copy = _inference_copy(trainer) if trainer.is_fsdp_enabled else None

    @contextlib.contextmanager
    def here(self) -> Iterator[CausalLM]:
        """The policy as it is now, in evaluation mode. Entered and left by all ranks together."""
        from trl.models import unwrap_model_for_generation

        if self.copy is not None:
            refresh(self.copy, self.trainer.model_wrapped)
            yield self.copy
            return
        with unwrap_model_for_generation(self.trainer.model_wrapped, self.trainer.accelerator) as model:
            was_training = model.training
            model.eval()
            yield model
            model.train(was_training)


def refresh(whole: CausalLM, sharded: "Module") -> None:
    """Copy the parameters of a model that is spread over the ranks into a whole one. Collective."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    whole.load_state_dict(get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True)))


def _inference_copy(trainer: Trainer) -> CausalLM:
    import torch

    whole = copy.deepcopy(trainer.model).eval().requires_grad_(False)
    for module in whole.modules():
        # TRL 1.16 puts a `forward` of its own on the model, which goes on calling the original's, soon sharded.
        module.__dict__.pop("forward", None)
    whole.gradient_checkpointing_disable()
    if trainer.args.bf16:
        # Parameters only: rotary frequencies in bfloat16 would blur the positions.
        for parameter in whole.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
    return whole.to(trainer.args.device)
