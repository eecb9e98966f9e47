"""What a trained model says about itself, in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..records import markup
from ..records.data import GrpoStep, TrainStep
from ..records.markdown import cell, setting, table

LAST_STEPS = 10
"""Measures of a run's end are means of so many steps."""

METHODS = {
    "sft": "fine-tuned on reasoning traces whose hard passages are marked, by TRL's SFTTrainer",
    "grpo": "trained with the big model writing in every rollout, by TRL's GRPOTrainer",
    "solo": "trained by TRL's GRPOTrainer as in SplitReason: it wrote the big model's part of its rollouts itself",
}
GOALS = {
    "grpo": ", for right answers at few of the big model's tokens",
    "solo": ", and earned the paper's rewards",
}
"""Where no other reward was named."""


@dataclass(frozen=True)
class TrainingRun:
    """What made a model.

    Args:
        method: `sft` or `grpo`.
        config: the resolved configuration. `model` and `big` are names that may be published.
        inputs: names of what went in, to SHA-256. versions: names of packages, to versions.
        measures: as of `sft_measures` or `grpo_measures`.
    """

    method: str
    config: Mapping[str, object]
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    measures: Mapping[str, float]


def sft_measures(steps: Sequence[TrainStep]) -> dict[str, float]:
    """What a run of train sft measured; nothing of a run without steps."""
    if not steps:
        return {}
    return {"optimizer steps": steps[-1].step, "loss of the first step": steps[0].loss, **_ends(steps, ("loss",))}


def grpo_measures(steps: Sequence[GrpoStep]) -> dict[str, float]:
    """What a run of train grpo measured, on the rollouts it trained on; nothing of a run without steps."""
    if not steps:
        return {}
    return {"optimizer steps": steps[-1].step, **_ends(steps, ("loss", "reward", "accuracy", "share", "price"))}


def body(run: TrainingRun) -> str:
    """The card below its front matter."""
    small = run.config["model"]
    method = "solo" if run.config.get("rollout") == "solo" else run.method
    reward = run.config.get("reward")
    goal = f", for the reward `{reward}`" if reward else GOALS.get(method, "")
    sections = [
        f"# Split reasoning on {small}",
        f"{small}, {METHODS[method]}{goal}. It reasons, and hands hard passages over to a bigger model.",
        *_use(run),
        "## Measured while training",
        "Of the examples it was trained on; this is no benchmark.",
        table(("measure", "value"), [(name, f"{value:.4g}") for name, value in run.measures.items()]),
        "## How it was made",
        table(("setting", "value"), [(name, cell(setting(value))) for name, value in run.config.items()]),
        table(("input", "SHA-256"), list(run.inputs.items())),
        table(("package", "version"), list(run.versions.items())),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _use(run: TrainingRun) -> list[str]:
    meaning = (
        f"Where the model writes `{markup.OPEN}`, the big model takes over. It writes until `{markup.CLOSE}` is what "
        "this model, reading along, would write next; then this model goes on."
    )
    if run.config.get("tags") == "text":
        return ["## Tags", f"{meaning} Its tokenizer knows both as ordinary text only, on which `srx` cannot act."]
    big = run.config.get("big")
    where = "`FOLDER` is this folder or its name on the Hub" + ("." if big else ", `BIG` a bigger model.")
    return [
        "## Use",
        f"    srx serve --small FOLDER --big {big or 'BIG'}",
        where,
        "## Tags",
        f"{meaning} Both are single tokens of its vocabulary.",
    ]


def _ends(steps: Sequence[TrainStep | GrpoStep], names: tuple[str, ...]) -> dict[str, float]:
    last = steps[-LAST_STEPS:]
    means = {
        f"{name}, mean of the last {len(last)} steps": sum(getattr(one, name) for one in last) / len(last)
        for name in names
    }
    return {"loss of the last step": steps[-1].loss, **means}
