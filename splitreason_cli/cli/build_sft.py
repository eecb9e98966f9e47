"""srx build-sft"""

from typing import Annotated

import typer

from .options import Hint, In, Out, Strict, run_record_stage


def register(app: typer.Typer) -> None:
    app.command("build-sft", epilog="Example: srx build-sft --in annotated.jsonl > sft.jsonl")(build_sft)


def build_sft(
    in_: In = "-",
    out: Out = "-",
    hint: Hint = True,
    test_fraction: Annotated[str, typer.Option(help="Share of the problems held out as split test.")] = "5%",
    strict: Strict = False,
) -> None:
    """Turn annotated traces into prompts and tagged completions, split by problem.

    Reads records of kind annotated_trace, writes sft_example. Traces whose spans do not fit their text are quarantined.
    """
    from ..stages import build_sft as stage
    from .values import share

    config = stage.BuildSftConfig(hint=hint, test_fraction=share("--test-fraction", test_fraction))
    run_record_stage(
        "build-sft",
        in_,
        out,
        lambda source, store, on_record, on_progress: stage.build_sft(
            source, config, store, strict=strict, on_record=on_record, on_progress=on_progress
        ),
        strict=strict,
    )
