"""srx train"""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ..errors import UsageError
from ..records.data import Generation, GrpoStep
from ..store.artifacts import META, Artifact, Store
from ..store.jsonl import disk_fault, encode, write_atomically
from ..store.source import Quarantine, Source, raise_first_rejected, read_records
from ..training import ranks
from ..training.reporters import NO_REPORTING, Reporting
from . import console, values
from .option_groups import expanded
from .options import Fresh, Strict, finish, open_store, stepper
from .train_options import Asking, GrpoFlags, GrpoModels, Lora, PolicyVllm, Publishing, SftFlags

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ..training.grpo_config import Servers, TrainGrpoConfig

CURVES, SAMPLES = "curves.png", "samples.jsonl"

C = TypeVar("C", bound="DataclassInstance")

SLOWEST_STEP_SECONDS = 3600.0

Recipe = Annotated[str, typer.Option(help="Defaults for all that follows: paper or mini.")]
SampleSteps = Annotated[
    int | None, typer.Option(min=0, help="Show a rollout every so many steps; 0: none. paper: 50, mini: 10.")
]

train = typer.Typer(no_args_is_help=True, help="Train the small model.")


def register(app: typer.Typer) -> None:
    app.add_typer(train, name="train")


@train.command("sft", epilog="Example: srx train sft --recipe mini --in sft.jsonl --out my-model")
@expanded
def sft(
    *,
    in_: Annotated[str, typer.Option("--in", help="JSONL of kind sft_example; - is standard input.")] = "-",
    out: Annotated[str, typer.Option("--out", help="Folder for the checkpoint.")] = "srx-sft",
    recipe: Recipe = "paper",
    flags: SftFlags,
    lora: Lora,
    publishing: Publishing,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Fine-tune the small model to hand over and to take back, by TRL's SFTTrainer.

    Writes a checkpoint that AutoModelForCausalLM loads, adapters merged, with a model card. Run it again after a crash
    and it resumes.
    """
    console.quiet_libraries()
    reporting = publishing.reporting(out)
    from ..training import sft as stage

    config = _resolved(stage.RECIPES, recipe, {**vars(flags), **vars(lora)})
    _require_elsewhere(out, config.model)
    store = open_store(fresh=fresh)
    source = _source(in_, store)
    with console.progress(SLOWEST_STEP_SECONDS) as live:
        artifact, cached = stage.train_sft(
            source, config, store, strict=strict, on_step=stepper(live, "train sft"), reporting=reporting
        )
    _conclude(artifact, cached, out, publishing, deliver_model, strict=strict)


@train.command("grpo", epilog="Example: srx train grpo --recipe mini --model my-model --in problems.jsonl")
@expanded
def grpo(
    *,
    in_: Annotated[
        str, typer.Option("--in", help="Problems and answers: JSONL, parquet, hf://; - is standard input.")
    ] = "-",
    out: Annotated[str, typer.Option("--out", help="Folder for the checkpoint.")] = "srx-grpo",
    recipe: Recipe = "paper",
    models: GrpoModels,
    asking: Asking,
    flags: GrpoFlags,
    vllm: PolicyVllm,
    sample_steps: SampleSteps = None,
    lora: Lora,
    publishing: Publishing,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Teach the small model when to ask, by TRL's GRPOTrainer, with the big model writing in every rollout.

    Rewarded are right answers less the price of the big model's tokens; only the small model's decisions are trained.
    The folder also gets curves.png, and samples.jsonl with the rollouts that were shown. Run it again after a crash and
    it resumes.
    """
    given = {**vars(flags), **vars(lora), **asking.settings(), **models.settings(), "use_vllm": vllm.use_vllm}
    given |= {"columns": values.columns(flags.columns)}
    console.quiet_libraries()
    reporting = publishing.reporting(out)
    from ..training import grpo as stage
    from ..training.grpo_config import Servers

    config = _resolved(stage.RECIPES, recipe, given)
    _require_elsewhere(out, config.model)
    servers = Servers(models.urls.side(config.big), models.remote(), vllm.engine())
    every = stage.SAMPLE_STEPS[recipe] if sample_steps is None else sample_steps
    store = open_store(fresh=fresh)
    source = _source(in_, store)
    artifact, cached = run_grpo(source, config, store, every, servers, strict=strict, reporting=reporting)
    deliver = partial(deliver_grpo, offload_budget=config.offload_budget, sample_steps=every)
    _conclude(artifact, cached, out, publishing, deliver, strict=strict)


def _conclude(
    artifact: Artifact,
    cached: bool,
    out: str,
    publishing: Publishing,
    deliver: Callable[[Artifact, Path], None],
    *,
    strict: bool,
) -> None:
    """Leave the other processes; the main one delivers the model, publishes it and says so.

    Raises RecordError for the first rejected record if `strict`.
    """
    if strict:
        raise_first_rejected(artifact.rejected)
    ranks.leave()
    if ranks.is_main():
        deliver(artifact, Path(out))
        publishing.push(artifact)
        finish(artifact, cached, out, "steps")


def run_grpo(
    source: Source,
    config: "TrainGrpoConfig",
    store: Store,
    sample_steps: int,
    servers: "Servers | None" = None,
    *,
    strict: bool = False,
    reporting: Reporting = NO_REPORTING,
) -> tuple[Artifact, bool]:
    """Train with one progress line, below the warnings and a rollout every `sample_steps`."""
    from ..training.grpo import train_grpo
    from ..training.grpo_config import NO_SERVERS
    from ..training.grpo_run import GrpoWatcher
    from .render import render

    def on_sample(sample: Generation) -> None:
        if sample_steps and sample.sample % sample_steps == 0:
            console.note(f"step {sample.sample}:")
            console.stderr.print(render(sample))

    with console.progress(SLOWEST_STEP_SECONDS) as live:
        watcher = GrpoWatcher(
            stepper(live, "train grpo"), lambda text: console.note(f"warning: {text}"), on_sample, reporting
        )
        return train_grpo(source, config, store, servers or NO_SERVERS, strict=strict, watcher=watcher)


def deliver_grpo(artifact: Artifact, out: Path, offload_budget: float | None, sample_steps: int) -> None:
    """`deliver_model`, and beside it the curves and the rollouts that were shown."""
    from ..training.curves import write_curves

    deliver_model(artifact, out)
    steps = list(read_records(Source.stream(str(artifact.records)), GrpoStep.from_dict, Quarantine()))
    write_curves(out / CURVES, steps, offload_budget)
    samples = read_records(Source.stream(str(artifact.path / SAMPLES)), Generation.from_dict, Quarantine())
    shown = [encode(one) for one in samples if sample_steps and one.sample % sample_steps == 0]
    if shown:
        write_atomically(out / SAMPLES, iter(shown))
    else:
        # Of an earlier run to the same folder.
        (out / SAMPLES).unlink(missing_ok=True)


def _resolved(recipes: Mapping[str, C], recipe: str, given: Mapping[str, object]) -> C:
    """A recipe's configuration with the flags that were given. Raises UsageError."""
    if recipe not in recipes:
        raise UsageError(f"unknown recipe {recipe!r}", f"Known recipes: {', '.join(recipes)}")
    return dataclasses.replace(recipes[recipe], **{name: one for name, one in given.items() if one is not None})


def _require_elsewhere(out: str, model: str) -> None:
    """Raises UsageError where the result would overwrite the model that it comes from."""
    if Path(out).resolve() == Path(model).resolve():
        raise UsageError(f"--out {out} is the model to start from", "Name another folder")


def _source(in_: str, store: Store) -> Source:
    """The input of one or several processes. Raises UsageError, InputError."""
    ranks.require_file(in_)
    if ranks.launched_alone():
        console.note(
            "warning: accelerate launch --cpu has started one process; --multi_gpu starts several, on CPUs too"
        )
    return Source.open(in_, store)


def deliver_model(artifact: Artifact, out: Path) -> None:
    """Copy an artifact's checkpoint to `out`, with the configuration that made it as srx.json."""
    try:
        shutil.copytree(artifact.path / "model", out, dirs_exist_ok=True)
        shutil.copy(artifact.path / META, out / "srx.json")
    except OSError as error:
        raise disk_fault(out, error) from None
