"""Flags that say how to reach the two models."""

from typing import Annotated

import typer

PANEL = "Where models run"

SmallTokenizer = Annotated[
    str | None, typer.Option(help="Tokenizer of --small, if its server does not say.", rich_help_panel=PANEL)
]
BigTokenizer = Annotated[
    str | None, typer.Option(help="Tokenizer of --big, if its server does not say.", rich_help_panel=PANEL)
]
SmallKeyEnv = Annotated[
    str | None, typer.Option(help="Environment variable with the key of --small's URLs.", rich_help_panel=PANEL)
]
BigKeyEnv = Annotated[
    str | None, typer.Option(help="Environment variable with the key of --big's URLs.", rich_help_panel=PANEL)
]
SmallServedName = Annotated[
    str | None, typer.Option(help="Name of the model at --small's URLs, if they serve several.", rich_help_panel=PANEL)
]
BigServedName = Annotated[
    str | None, typer.Option(help="Name of the model at --big's URLs, if they serve several.", rich_help_panel=PANEL)
]
BigText = Annotated[
    bool,
    typer.Option(
        "--big-text", help="--big's URLs know text only, no token ids: a hosted API. See README.", rich_help_panel=PANEL
    ),
]
SmallGpu = Annotated[str | None, typer.Option(help="GPUs of the small model's vLLM, such as 0.", rich_help_panel=PANEL)]
BigGpu = Annotated[str | None, typer.Option(help="GPUs of the big model's vLLM, such as 1,2.", rich_help_panel=PANEL)]
SmallArgs = Annotated[
    str, typer.Option(help="Further arguments of the small model's vLLM, in quotes.", rich_help_panel=PANEL)
]
BigArgs = Annotated[
    str, typer.Option(help="Further arguments of the big model's vLLM, in quotes.", rich_help_panel=PANEL)
]
