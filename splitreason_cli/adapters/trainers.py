"""What every run of a trainer of transformers needs: a report of each step, and the checkpoint to go on from."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import SrxError


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
