"""What every run of a trainer needs: reports of its steps, the checkpoint to go on from, advice where memory ends."""

import contextlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MachineError, SrxError
from .reporters import Reporting


@dataclass(frozen=True)
class StepReport:
    """One optimizer step of `total`, with its loss. `tokens_per_second` counts since this process began to train."""

    step: int
    total: int
    loss: float
    tokens_per_second: float


OnStep = Callable[[StepReport], None]


def shared_arguments(
    folder: Path, *, learning_rate: float, warmup: float, seed: int, save_steps: int, on_cpu: bool,
    reporting: Reporting,
) -> dict[str, Any]:  # fmt: skip
    """What all our trainers are told alike, as fields of `TrainingArguments`. `warmup` is a share of all steps."""
    return {
        "output_dir": str(folder),
        "learning_rate": learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": warmup,
        "gradient_checkpointing": not on_cpu,
        "bf16": not on_cpu,
        "use_cpu": on_cpu,
        "seed": seed,
        "save_steps": save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        **reporting.arguments(),
        "disable_tqdm": True,
        "dataloader_pin_memory": not on_cpu,
    }


def step_callback(on_step: OnStep) -> Any:
    """Report each step, and stop a run whose loss is no number any more."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # A trainer that goes on counts on from here, or from 0 again; both are what it has seen so far.
            self.began, self.seen_tokens = time.perf_counter(), state.num_input_tokens_seen

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
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


def last_complete_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint whose state file, which is written last, is readable; younger wrecks are deleted."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in found:
        try:
            json.loads((checkpoint / "trainer_state.json").read_bytes())
        except (OSError, ValueError):
            shutil.rmtree(checkpoint)
        else:
            return str(checkpoint)
    return None
