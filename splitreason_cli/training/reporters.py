"""Where trainers can send their curves, besides the records of the run."""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

PACKAGES = ("tensorboard", "trackio", "wandb")
"""Packages that report, which are also their names in `TrainingArguments.report_to`."""


@dataclass(frozen=True)
class Reporting:
    """Packages that get the curves of a run, and the name under which they file it."""

    to: tuple[str, ...] = ()
    run_name: str = "srx"

    @classmethod
    def parse(cls, values: Sequence[str], run_name: str) -> "Reporting":
        """From comma lists of packages; `none` stands for none.

        Raises UsageError for one that is unknown or not installed.
        """
        names = [name.strip() for value in values for name in value.split(",")]
        chosen = tuple(dict.fromkeys(name for name in names if name not in ("", "none")))
        for name in chosen:
            if name not in PACKAGES:
                raise UsageError(f"--report-to: unknown package {name!r}", f"Known: {', '.join(PACKAGES)}, none")
            if importlib.util.find_spec(name) is None:
                raise UsageError(f"--report-to: {name} is not installed", f"Install it: pip install {name}")
        return cls(chosen, run_name)

    def arguments(self) -> dict[str, object]:
        """As fields of `TrainingArguments`. Where the environment does not say where the curves go, it is set."""
        if "tensorboard" in self.to:
            # By itself it writes into the trainer's folder, which is deleted in the end.
            os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(Path("runs") / self.run_name))
        if "wandb" in self.to:
            os.environ.setdefault("WANDB_PROJECT", "srx")
        return {"report_to": list(self.to) or "none", "run_name": self.run_name, "project": "srx"}


NO_REPORTING = Reporting()
