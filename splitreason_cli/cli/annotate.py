"""srx annotate"""

from typing import Annotated

import typer

from . import console
from .options import In, Out, Strict, run_record_stage


def register(app: typer.Typer) -> None:
    app.command("annotate", epilog="Example: srx annotate --in traces.jsonl --out annotated.jsonl")(annotate)


def annotate(
    in_: In = "-",
    out: Out = "-",
    small: Annotated[
        str, typer.Option(help="Small model: a folder, a Hugging Face name or mini-small.")
    ] = "mini-small",
    big: Annotated[str, typer.Option(help="Big model with the same vocabulary.")] = "mini-big",
    threshold: Annotated[float, typer.Option(help="Nats by which a token must surprise the small model more.")] = 0.7,
    fraction: Annotated[str, typer.Option(help="Largest share of a trace to mark.")] = "20%",
    strict: Strict = False,
) -> None:
    """Mark the lines of reasoning traces that are hard for the small model and not for the big one.

    Reads records of kind trace, writes annotated_trace.
    """
    console.quiet_libraries()
    from ..stages import annotate as stage
    from .values import share

    config = stage.AnnotateConfig(small=small, big=big, threshold=threshold, fraction=share("--fraction", fraction))
    run_record_stage(
        "annotate",
        in_,
        out,
        lambda source, store, on_record, on_progress: stage.annotate(
            source, config, store, strict=strict, on_record=on_record, on_progress=on_progress
        ),
        strict=strict,
    )
