"""srx serve"""

import contextlib
import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from . import console, values
from .side_options import (
    BigArgs,
    BigGpu,
    BigKeyEnv,
    BigServedName,
    BigText,
    BigTokenizer,
    SmallArgs,
    SmallGpu,
    SmallKeyEnv,
    SmallServedName,
    SmallTokenizer,
)


def register(app: typer.Typer) -> None:
    app.command("serve", epilog="Example: srx serve --offload-budget 5% --port 8000")(serve)


def serve(
    small: Annotated[
        str, typer.Option(help="Small model: mini-split, a folder, a Hugging Face name, or URLs of vLLM servers of it.")
    ] = "mini-split",
    big: Annotated[str, typer.Option(help="Big model, with the same vocabulary.")] = "mini-big",
    runtime: Annotated[
        Literal["auto", "vllm", "in-process"],
        typer.Option(help="Where models that are no URLs run; auto: vLLM, but the embedded ones in this process."),
    ] = "auto",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    served_model_name: Annotated[
        str | None, typer.Option(help="Name for clients; else that of the small model.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable with the key that clients must send.")
    ] = None,
    policy: Annotated[
        str,
        typer.Option(help="When to hand over: learned, learned(0.3), random(5%), relay(16), entropy(1.5), never ..."),
    ] = "learned",
    offload_budget: Annotated[
        str, typer.Option(help="Cap on the big model's share of all tokens, such as 5%; none for no cap.")
    ] = "none",
    budget_plan: Annotated[
        Literal["expected", "causal"],
        typer.Option(help="Grant against the length that answers are expected to have, or only what was written."),
    ] = "expected",
    hint: Annotated[bool, typer.Option("--hint/--no-hint", help="Tell the small model about the tags.")] = True,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest completion, and the default.")] = 4096,
    max_span_tokens: Annotated[int | None, typer.Option(min=1, help="Longest span of the big model.")] = None,
    max_concurrency: Annotated[int, typer.Option(min=1, help="Completions in flight; more are told to retry.")] = 64,
    reasoning: Annotated[
        bool, typer.Option("--reasoning/--no-reasoning", help="Put the thinking into reasoning_content.")
    ] = True,
    small_tokenizer: SmallTokenizer = None,
    big_tokenizer: BigTokenizer = None,
    small_key_env: SmallKeyEnv = None,
    big_key_env: BigKeyEnv = None,
    small_served_name: SmallServedName = None,
    big_served_name: BigServedName = None,
    big_text: BigText = False,
    small_gpu: SmallGpu = None,
    big_gpu: BigGpu = None,
    small_args: SmallArgs = "",
    big_args: BigArgs = "",
    prefill_stride: Annotated[int, typer.Option(min=1, help="Tokens after which the big model reads along.")] = 128,
    probe_stride: Annotated[
        int, typer.Option(min=1, help="Big tokens after which the small model is asked at the latest; 1 is exact.")
    ] = 16,
    big_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for the big model's first token.")] = 30.0,
    log_level: Annotated[
        Literal["info", "warning"], typer.Option(help="info: a line for each completion, on standard error.")
    ] = "info",
    log_folder: Annotated[Path, typer.Option(help="Where vLLM servers that are started write.")] = Path(
        "srx-serve-logs"
    ),
) -> None:
    """Serve a small and a big model behind one OpenAI-compatible endpoint.

    Without arguments the embedded pair runs in this process. Requests may set offload_budget, policy and show_tags.
    """
    console.quiet_libraries()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("splitreason_cli").setLevel(log_level.upper())
    from ..decoding.pipelined import PipelineConfig
    from ..models.sides import Side
    from ..serving import serve as stage
    from ..serving.http_api import ServerConfig
    from ..serving.split_engine import EngineConfig
    from ..store.keys import read_key

    config = stage.ServeConfig(
        small=Side(
            small, small_tokenizer, small_key_env, small_gpu, values.arguments("--small-args", small_args),
            small_served_name,
        ),
        big=Side(
            big, big_tokenizer, big_key_env, big_gpu, values.arguments("--big-args", big_args),
            big_served_name, big_text,
        ),
        engine=EngineConfig(
            model=served_model_name or (small if "://" not in small else "srx"), policy=policy,
            max_tokens=max_tokens, max_span_tokens=max_span_tokens, plan=budget_plan, reasoning=reasoning,
            offload_budget=None if offload_budget == "none" else values.share("--offload-budget", offload_budget),
        ),
        pipeline=PipelineConfig(
            prefill_stride_tokens=prefill_stride, probe_stride_tokens=probe_stride, first_token_seconds=big_timeout
        ),
        server=ServerConfig(
            api_key=read_key(api_key_env, "--api-key-env"), max_tokens_limit=max_tokens,
            max_concurrency=max_concurrency,
        ),
        hint=hint, runtime=runtime, host=host, port=port, log_folder=log_folder,
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        stage.serve(config, console.note)
