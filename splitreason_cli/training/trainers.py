"""What every run of a trainer needs: reports of its steps, checkpoints, the model saved, advice where memory ends."""

import contextlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import MachineError, SrxError
from ..models.loading import LoadedModel
from ..models.protocols import Tokenizer
from ..records.data import Record
from ..store.artifacts import RECORDS, Artifact, Recipe, Store
from ..store.journal import Journal
from ..store.jsonl import encode
from . import ranks
from .card import write_card
from .lora import merged
from .protocols import Logged, Trainer, TrainerArguments, TrainerState
from .reporters import Reporting

if TYPE_CHECKING:
    from transformers import TrainerCallback


@dataclass(frozen=True)
class StepReport:
    """One optimizer step of `total`, with its loss. `tokens_per_second` counts since this process began to train."""

    step: int
    total: int
    loss: float
    tokens_per_second: float


OnStep = Callable[[StepReport], None]

MODEL, TRAINER = "model", "trainer"
"""The folders of the finished model and of the unfinished run."""

LIBRARIES = ("accelerate", "jinja2", "tokenizers", "torch", "transformers", "trl")

COMPLETE = "complete"
"""The file that a checkpoint has once all ranks have written their parts of it."""


def computing_libraries(lora_rank: int) -> tuple[str, ...]:
    """The libraries that compute what a run of training comes to."""
    return (*LIBRARIES, "peft") if lora_rank else LIBRARIES


class Schedule(Protocol):
    """What the configurations of all our trainers hold. `warmup` is a share of all steps."""

    @property
    def learning_rate(self) -> float: ...

    @property
    def warmup(self) -> float: ...

    @property
    def save_steps(self) -> int: ...

    @property
    def seed(self) -> int: ...


def prepare(loaded: LoadedModel, seed: int) -> bool:
    """Make a model and the libraries ready for a trainer to be made; returns whether it trains on a CPU."""
    import datasets
    from transformers import set_seed

    # Adapters start from random numbers.
    set_seed(seed)
    on_cpu = loaded.model.device.type == "cpu"
    if on_cpu:
        # The fused attention's backward pass is the slower one on a CPU.
        loaded.model.set_attn_implementation("eager")
    datasets.disable_progress_bars()
    return on_cpu


def shared_arguments(folder: Path, schedule: Schedule, reporting: Reporting, *, on_cpu: bool) -> dict[str, object]:
    """What all our trainers are told alike, as fields of `TrainingArguments`."""
    return {
        "output_dir": str(folder),
        "learning_rate": schedule.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": schedule.warmup,
        "gradient_checkpointing": not on_cpu,
        "bf16": not on_cpu,
        "use_cpu": on_cpu,
        "seed": schedule.seed,
        "save_steps": schedule.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        **reporting.arguments(),
        "disable_tqdm": True,
        "dataloader_pin_memory": not on_cpu,
        "ddp_find_unused_parameters": False,
    }


def step_callback(on_step: OnStep) -> "TrainerCallback":
    """Report each step, and stop a run whose loss is no number any more."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(
            self, args: TrainerArguments, state: TrainerState, control: object, **kwargs: object
        ) -> None:
            # A trainer that goes on counts on from here, or from 0 again; both are what it has seen so far.
            self.began, self.seen_tokens = time.perf_counter(), state.num_input_tokens_seen

        def on_log(
            self,
            args: TrainerArguments,
            state: TrainerState,
            control: object,
            logs: Logged | None = None,
            **kwargs: object,
        ) -> None:
            if logs and "loss" in logs:
                if not math.isfinite(logs["loss"]):
                    raise SrxError(
                        f"the loss is {logs['loss']} at step {state.global_step}", "Lower --learning-rate and rerun"
                    )
                tokens, seconds = logs["num_tokens"] - self.seen_tokens, time.perf_counter() - self.began
                on_step(StepReport(state.global_step, state.max_steps, float(logs["loss"]), tokens / seconds))

    return Progress()


@contextlib.contextmanager
def memory_advice(per_device_batch_size: int, length_flag: str, length: int) -> Iterator[None]:
    """Where memory runs out, a MachineError that says which flags to lower."""
    import torch

    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        flags = f"{length_flag} (now {length})"
        if per_device_batch_size > 1:
            flags = f"--per-device-batch-size (now {per_device_batch_size}), then {flags}"
        where = "the device's memory" if isinstance(error, torch.OutOfMemoryError) else "this machine's memory"
        hint = f"Lower {flags}; the same command on a larger one goes on from its last checkpoint"
        raise MachineError(f"training does not fit into {where}", hint) from None


def mark_callback() -> "TrainerCallback":
    """Mark each checkpoint as complete when all ranks have written their parts of it, such as their random states."""
    from transformers import TrainerCallback

    class Mark(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: TrainerArguments, state: TrainerState, control: object, **kwargs: object) -> None:
            ranks.barrier()
            if ranks.is_main():
                (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()

    return Mark()


def save_model(trainer: Trainer, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the trained model and its tokenizer, whole, also where its parameters are spread over the ranks."""
    model, weights = trainer.accelerator.unwrap_model(trainer.model), None
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        # Gathered one by one, tied weights are no longer one tensor, and would be written twice.
        weights = {name: value for name, value in weights.items() if name not in model.all_tied_weights_keys}
    if ranks.is_main():
        merged(model).save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)


def publish(
    store: Store, recipe: Recipe, work: Path, method: str, steps: Sequence[Record], measures: Mapping[str, float]
) -> Artifact:
    """The artifact of a finished run: its model with a card, its steps as records. On every rank, made by the first.

    Args:
        method: `sft` or `grpo`. measures: for the card, as of `training.model_card`.
    """

    def make() -> Artifact:
        write_card(work / MODEL, method, recipe, measures)
        journal = Journal(work / RECORDS)
        journal.restart(0)
        journal.append([encode(step) for step in steps])
        shutil.rmtree(work / TRAINER)
        return store.publish(recipe, work, len(steps))

    return ranks.from_main(make)


def last_complete_checkpoint(folder: Path, on_note: Callable[[str], None]) -> str | None:
    """The newest checkpoint that is marked complete, the same on all ranks; younger wrecks are deleted.

    `on_note` is told from which step the training goes on, if it does.
    """
    checkpoint = ranks.from_main(lambda: _last_complete(folder))
    if checkpoint and ranks.is_main():
        on_note(f"going on from step {checkpoint.rpartition('-')[2]}")
    return checkpoint


def _last_complete(folder: Path) -> str | None:
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in found:
        try:
            json.loads((checkpoint / "trainer_state.json").read_bytes())
            (checkpoint / COMPLETE).stat()
        except (OSError, ValueError):
            shutil.rmtree(checkpoint)
        else:
            return str(checkpoint)
    return None
