"""What every run of a trainer of transformers needs: a report of each step, and the checkpoint to go on from."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import SrxError


def shared_arguments(
    folder: Path, *, learning_rate: float, warmup: float, seed: int, save_steps: int, on_cpu: bool
) -> dict[str, Any]:
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
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": not on_cpu,
    }


def step_callback(on_step: Callable[[int, int, float], None]) -> Any:
    """Report each step, and stop a run whose loss is no number any more."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if logs and "loss" in logs:
                if not math.isfinite(logs["loss"]):
                    raise SrxError(
                        f"the loss is {logs['loss']} at step {state.global_step}", "Lower --learning-rate and rerun"
                    )
                on_step(state.global_step, state.max_steps, float(logs["loss"]))

    return Progress()


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
