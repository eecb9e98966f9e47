"""srx train"""

import dataclasses
import shutil
from pathlib import Path
from typing import Annotated

import typer

from ..adapters.source import Source, raise_first_rejected
from ..adapters.store import META, Artifact, Store
from ..errors import UsageError
from . import console
from .options import Strict, finish, stepper

train = typer.Typer(no_args_is_help=True, help="Train the small model.")


def register(app: typer.Typer) -> None:
    app.add_typer(train, name="train")


@train.command("sft", epilog="Example: srx train sft --recipe mini --in sft.jsonl --out my-model")
def sft(
    in_: Annotated[str, typer.Option("--in", help="JSONL of kind sft_example; - is standard input.")] = "-",
    out: Annotated[str, typer.Option("--out", help="Folder for the checkpoint.")] = "srx-sft",
    recipe: Annotated[str, typer.Option(help="Defaults for all that follows: paper or mini.")] = "paper",
    model: Annotated[
        str | None, typer.Option(help="Model to start from: folder, Hugging Face name, mini-small.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(min=0.001, help="Passes over the data.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps, instead of epochs.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Sequences an optimizer step, over all devices.")
    ] = None,
    per_device_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Sequences at a time on each device.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Peak of the cosine schedule.")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens a sequence; longer ones are cut.")] = None,
    packing: Annotated[bool | None, typer.Option(help="Join short sequences up to --max-length.")] = None,
    save_steps: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints to resume from.")] = None,
    seed: Annotated[int | None, typer.Option(help="Order of the data.")] = None,
    strict: Strict = False,
) -> None:
    """Fine-tune the small model to hand over and to take back, by TRL's SFTTrainer.

    Writes a checkpoint that AutoModelForCausalLM loads. Run it again after a crash and it resumes.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    console.quiet_libraries()
    from ..stages import train_sft as stage

    if recipe not in stage.RECIPES:
        raise UsageError(f"unknown recipe {recipe!r}", f"Known recipes: {', '.join(stage.RECIPES)}")
    fields = {field.name for field in dataclasses.fields(stage.TrainSftConfig)}
    config = dataclasses.replace(
        stage.RECIPES[recipe], **{name: value for name, value in given.items() if name in fields}
    )
    store = Store.default()
    source = Source.open(in_, store)
    with console.progress() as live:
        artifact, cached = stage.train_sft(source, config, store, strict=strict, on_step=stepper(live, "train sft"))
    if strict:
        raise_first_rejected(artifact.rejected)
    deliver_model(artifact, Path(out))
    finish(artifact, cached, out)


def deliver_model(artifact: Artifact, out: Path) -> None:
    """Copy an artifact's checkpoint to `out`, with the configuration that made it as srx.json."""
    from ..adapters.jsonl import disk_fault

    try:
        shutil.copytree(artifact.path / "model", out, dirs_exist_ok=True)
        shutil.copy(artifact.path / META, out / "srx.json")
    except OSError as error:
        raise disk_fault(out, error) from None
