"""Flags that say how to reach the two models."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from . import values

if TYPE_CHECKING:
    from ..models.sides import Side

PANEL = "Where models run"


@dataclass(frozen=True)
class SmallUrls:
    """What is to be known of servers of the small model."""

    small_tokenizer: Annotated[
        str | None, typer.Option(help="Tokenizer of --small, if its server does not say.", rich_help_panel=PANEL)
    ] = None
    small_key_env: Annotated[
        str | None, typer.Option(help="Environment variable with the key of --small's URLs.", rich_help_panel=PANEL)
    ] = None
    small_served_name: Annotated[
        str | None,
        typer.Option(help="Name of the model at --small's URLs, if they serve several.", rich_help_panel=PANEL),
    ] = None

    def side(self, model: str, gpu: str | None = None, vllm_args: tuple[str, ...] = ()) -> "Side":
        """The small model of a pair."""
        from ..models.sides import Side

        return Side(model, self.small_tokenizer, self.small_key_env, gpu, vllm_args, self.small_served_name)


@dataclass(frozen=True)
class BigUrls:
    """What is to be known of servers of the big model."""

    big_tokenizer: Annotated[
        str | None, typer.Option(help="Tokenizer of --big, if its server does not say.", rich_help_panel=PANEL)
    ] = None
    big_key_env: Annotated[
        str | None, typer.Option(help="Environment variable with the key of --big's URLs.", rich_help_panel=PANEL)
    ] = None
    big_served_name: Annotated[
        str | None,
        typer.Option(help="Name of the model at --big's URLs, if they serve several.", rich_help_panel=PANEL),
    ] = None
    big_text: Annotated[
        bool,
        typer.Option(
            "--big-text",
            help="--big's URLs know text only, no token ids: a hosted API. See README.",
            rich_help_panel=PANEL,
        ),
    ] = False

    def side(self, model: str, gpu: str | None = None, vllm_args: tuple[str, ...] = ()) -> "Side":
        """The big model of a pair."""
        from ..models.sides import Side

        return Side(
            model, self.big_tokenizer, self.big_key_env, gpu, vllm_args, self.big_served_name, text_only=self.big_text
        )


@dataclass(frozen=True)
class Sides:
    """What is to be known of servers of both, whether they run or are started."""

    small_urls: SmallUrls
    big_urls: BigUrls
    small_gpu: Annotated[
        str | None, typer.Option(help="GPUs of the small model's vLLM, such as 0.", rich_help_panel=PANEL)
    ] = None
    big_gpu: Annotated[
        str | None, typer.Option(help="GPUs of the big model's vLLM, such as 1,2.", rich_help_panel=PANEL)
    ] = None
    small_args: Annotated[
        str, typer.Option(help="Further arguments of the small model's vLLM, in quotes.", rich_help_panel=PANEL)
    ] = ""
    big_args: Annotated[
        str, typer.Option(help="Further arguments of the big model's vLLM, in quotes.", rich_help_panel=PANEL)
    ] = ""

    def pair(self, small: str, big: str, vllm_args: tuple[str, ...] = ()) -> "tuple[Side, Side]":
        """The small and the big model; `vllm_args` are of both. Raises UsageError."""
        small_args = (*vllm_args, *values.arguments("--small-args", self.small_args))
        big_args = (*vllm_args, *values.arguments("--big-args", self.big_args))
        return (
            self.small_urls.side(small, self.small_gpu, small_args),
            self.big_urls.side(big, self.big_gpu, big_args),
        )
