"""srx serve"""

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import console, values
from .option_groups import expanded
from .options import Hint
from .side_options import Sides

if TYPE_CHECKING:
    from ..decoding.pipelined import PipelineConfig
    from ..serving.http_api import ServerConfig
    from ..serving.split_engine import EngineConfig


def register(app: typer.Typer) -> None:
    app.command("serve", epilog="Example: srx serve --offload-budget 5% --port 8000")(expanded(serve))


@dataclass(frozen=True)
class Listening:
    """Where clients come, and which."""

    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000
    served_model_name: Annotated[str | None, typer.Option(help="Name for clients; else that of the small model.")] = (
        None
    )
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable with the key that clients must send.")
    ] = None
    max_concurrency: Annotated[int, typer.Option(min=1, help="Completions in flight; more are told to retry.")] = 64

    def server(self, max_tokens: int) -> "ServerConfig":
        """What the server takes. Raises UsageError."""
        from ..serving.http_api import ServerConfig
        from ..store.keys import read_key

        key = read_key(self.api_key_env, "--api-key-env")
        return ServerConfig(api_key=key, max_tokens_limit=max_tokens, max_concurrency=self.max_concurrency)


@dataclass(frozen=True)
class Splitting:
    """Who writes what, unless a request says otherwise."""

    policy: Annotated[
        str,
        typer.Option(help="When to hand over: learned, learned(0.3), random(5%), relay(16), entropy(1.5), never ..."),
    ] = "learned"
    offload_budget: Annotated[
        str, typer.Option(help="Cap on the big model's share of all tokens, such as 5%; none for no cap.")
    ] = "none"
    budget_plan: Annotated[
        Literal["expected", "causal"],
        typer.Option(help="Grant against the length that answers are expected to have, or only what was written."),
    ] = "expected"
    hint: Hint = True
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest completion, and the default.")] = 4096
    max_span_tokens: Annotated[int | None, typer.Option(min=1, help="Longest span of the big model.")] = None
    reasoning: Annotated[
        bool, typer.Option("--reasoning/--no-reasoning", help="Put the thinking into reasoning_content.")
    ] = True

    def engine(self, model: str) -> "EngineConfig":
        """The same under the name that clients know. Raises UsageError."""
        from ..serving.split_engine import EngineConfig

        budget = self.offload_budget
        return EngineConfig(
            model=model,
            policy=self.policy,
            max_tokens=self.max_tokens,
            max_span_tokens=self.max_span_tokens,
            plan=self.budget_plan,
            reasoning=self.reasoning,
            offload_budget=None if budget == "none" else values.share("--offload-budget", budget),
        )


@dataclass(frozen=True)
class Pace:
    """How the models keep up with each other."""

    prefill_stride: Annotated[int, typer.Option(min=1, help="Tokens after which the big model reads along.")] = 128
    probe_stride: Annotated[
        int, typer.Option(min=1, help="Big tokens after which the small model is asked at the latest; 1 is exact.")
    ] = 16
    big_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for the big model's first token.")] = 30.0

    def pipeline(self) -> "PipelineConfig":
        """The same for the pipelined driver."""
        from ..decoding.pipelined import PipelineConfig

        return PipelineConfig(
            prefill_stride_tokens=self.prefill_stride,
            probe_stride_tokens=self.probe_stride,
            first_token_seconds=self.big_timeout,
        )


@dataclass(frozen=True)
class Logs:
    """What is written beside the answers."""

    log_level: Annotated[
        Literal["info", "warning"], typer.Option(help="info: a line for each completion, on standard error.")
    ] = "info"
    log_folder: Annotated[Path, typer.Option(help="Where vLLM servers that are started write.")] = Path(
        "srx-serve-logs"
    )

    def start(self) -> None:
        """Log to standard error."""
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
        logging.getLogger("splitreason_cli").setLevel(self.log_level.upper())


def serve(
    *,
    small: Annotated[
        str, typer.Option(help="Small model: mini-split, a folder, a Hugging Face name, or URLs of vLLM servers of it.")
    ] = "mini-split",
    big: Annotated[str, typer.Option(help="Big model, likewise.")] = "mini-big",
    runtime: Annotated[
        Literal["auto", "vllm", "in-process"],
        typer.Option(help="Where models that are no URLs run; auto: vLLM, but the embedded ones in this process."),
    ] = "auto",
    listening: Listening,
    splitting: Splitting,
    pace: Pace,
    sides: Sides,
    logs: Logs,
) -> None:
    """Serve a small and a big model behind one OpenAI-compatible endpoint.

    Without arguments the embedded pair runs in this process. Requests may set offload_budget, policy and show_tags.
    """
    console.quiet_libraries()
    logs.start()
    from ..serving import serve as stage

    small_side, big_side = sides.pair(small, big)
    config = stage.ServeConfig(
        small=small_side,
        big=big_side,
        engine=splitting.engine(listening.served_model_name or (small if "://" not in small else "srx")),
        pipeline=pace.pipeline(),
        server=listening.server(splitting.max_tokens),
        hint=splitting.hint,
        runtime=runtime,
        host=listening.host,
        port=listening.port,
        log_folder=logs.log_folder,
    )
    with contextlib.suppress(KeyboardInterrupt):
        stage.serve(config, console.note)
