"""Flags that say how to reach the two models."""

from typing import Annotated

import typer

SmallTokenizer = Annotated[str | None, typer.Option(help="Tokenizer of --small, if its server does not say.")]
BigTokenizer = Annotated[str | None, typer.Option(help="Tokenizer of --big, if its server does not say.")]
SmallKeyEnv = Annotated[str | None, typer.Option(help="Environment variable with the key of --small's URLs.")]
BigKeyEnv = Annotated[str | None, typer.Option(help="Environment variable with the key of --big's URLs.")]
SmallServedName = Annotated[
    str | None, typer.Option(help="Name of the model at --small's URLs, if they serve several.")
]
BigServedName = Annotated[str | None, typer.Option(help="Name of the model at --big's URLs, if they serve several.")]
BigText = Annotated[
    bool, typer.Option("--big-text", help="--big's URLs know text only, no token ids: a hosted API. See README.")
]
SmallGpu = Annotated[str | None, typer.Option(help="GPUs of the small model's vLLM, such as 0.")]
BigGpu = Annotated[str | None, typer.Option(help="GPUs of the big model's vLLM, such as 1,2.")]
SmallArgs = Annotated[str, typer.Option(help="Further arguments of the small model's vLLM, in quotes.")]
BigArgs = Annotated[str, typer.Option(help="Further arguments of the big model's vLLM, in quotes.")]
