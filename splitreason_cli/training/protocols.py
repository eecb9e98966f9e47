"""What is used of TRL's trainers, which are untyped to us: only members that something here uses are named."""

from collections.abc import Mapping, Sequence, Sized
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from ..models.protocols import CausalLM

if TYPE_CHECKING:
    from torch import Tensor, device
    from torch.nn import Module

Logged = Mapping[str, float]
"""What a trainer logs at one step, its number among it."""


class Accelerator(Protocol):
    def autocast(self) -> AbstractContextManager[object]: ...
    def unwrap_model(self, model: CausalLM) -> CausalLM: ...
    def get_state_dict(self, model: "Module") -> "dict[str, Tensor]": ...


class TrainerState(Protocol):
    """`global_step` of `max_steps` are done; `log_history` is kept over restarts."""

    global_step: int
    max_steps: int
    num_input_tokens_seen: int
    log_history: Sequence[Logged]


class TrainerArguments(Protocol):
    output_dir: str
    save_steps: int
    bf16: bool
    device: "device"


class Trainer(Protocol):
    """A trainer of transformers. `model_wrapped` is `model` in what spreads it over the ranks."""

    model: CausalLM
    model_wrapped: "Module"
    args: TrainerArguments
    state: TrainerState
    accelerator: Accelerator
    train_dataset: Sized
    is_fsdp_enabled: bool
    is_deepspeed_enabled: bool

    def train(self, *, resume_from_checkpoint: str | None = None) -> object: ...
    def remove_callback(self, callback: type) -> None: ...


class VllmGeneration(Protocol):
    """TRL's hold on vLLM. What it returns begins with the prompts' and the completions' token ids."""

    generation_kwargs: Mapping[str, object] | None

    def generate(
        self, *, prompts: Sequence[Sequence[int]], images: None, num_generations: int
    ) -> tuple[object, list[list[int]], object, object]: ...


class GrpoTrainer(Trainer, Protocol):
    """TRL's `GRPOTrainer`; it has `vllm_generation` if vLLM generates."""

    vllm_generation: VllmGeneration
