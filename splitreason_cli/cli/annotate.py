"""srx annotate"""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..annotating.annotators.named import ANNOTATORS, check_flags
from . import console, values
from .options import In, Out, Strict, run_record_stage

if TYPE_CHECKING:
    from ..annotating import annotate as stage

WHO = "; ".join(f"{name}: {kind.summary}" for name, kind in ANNOTATORS.own.items())


def register(app: typer.Typer) -> None:
    app.command("annotate", epilog="Example: srx annotate --in traces.jsonl --out annotated.jsonl")(annotate)


def annotate(
    in_: In = "-",
    out: Out = "-",
    annotator: Annotated[
        str, typer.Option(help=f"Who marks. {WHO}; or an annotator of a plugin, as name or name(argument, ...).")
    ] = "surprisal",
    fraction: Annotated[
        str, typer.Option(help="Largest share of a trace's characters to mark; llm asks for about so much.")
    ] = "20%",
    small: Annotated[
        str, typer.Option(help="surprisal: small model; a folder, a Hugging Face name or mini-small.")
    ] = "mini-small",
    big: Annotated[str, typer.Option(help="surprisal: big model with the same vocabulary.")] = "mini-big",
    threshold: Annotated[
        float, typer.Option(help="surprisal: nats by which a token must surprise the small model more.")
    ] = 0.7,
    small_url: Annotated[
        str | None, typer.Option(help="surprisal: score on a vLLM server of --small instead of here, with --big-url.")
    ] = None,
    big_url: Annotated[str | None, typer.Option(help="surprisal: the vLLM server of --big.")] = None,
    model: Annotated[str | None, typer.Option(help="llm: the chat model's name at the endpoint.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="llm: OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the endpoint's key; without it none is sent.")
    ] = None,
    response_format: Annotated[
        Literal["auto", "json_schema", "none"],
        typer.Option(help="llm: force JSON replies; auto asks by delimiters where the endpoint cannot."),
    ] = "auto",
    concurrency: Annotated[int, typer.Option(min=1, help="Calls in flight at once.")] = 64,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one attempt of a call.")] = 600.0,
    max_retries: Annotated[
        int, typer.Option(min=0, help="Further attempts after rate limits, server errors and lost connections.")
    ] = 6,
    max_tokens_total: Annotated[
        int | None, typer.Option(min=1, help="llm: stop when this command has spent so many tokens, over all its runs.")
    ] = None,
    price: Annotated[
        str | None, typer.Option(help="llm: dollars per million prompt/completion tokens, to show the cost.")
    ] = None,
    snippets: Annotated[
        str | None, typer.Option(help='snippets: JSONL of {"id": ..., "snippets": [...]}, hardest first.')
    ] = None,
    snap: Annotated[
        Literal["word", "line"], typer.Option(help="llm, snippets: what the ends of a span are moved to.")
    ] = "word",
    min_similarity: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="llm, snippets: how similar the text must be to a snippet.")
    ] = 0.85,
    generations: Annotated[
        Literal["first", "correct", "all"], typer.Option(help="Which generations of a row with several to annotate.")
    ] = "correct",
    shard: Annotated[
        str, typer.Option(help="i/n: only the i-th of n parts, counted from 0 and cut by a hash of the id.")
    ] = "0/1",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many rows; 0 is all.")] = 0,
    strict: Strict = False,
) -> None:
    """Mark the hard spans of reasoning traces.

    Reads records of kind trace, or rows of a reasoning dataset such as OpenR1-Math-220k; writes annotated_trace. What a
    chat model has been paid for is kept: the same command again, or one with other alignment flags, asks only for the
    rest.
    """
    console.quiet_libraries()
    from ..annotating import annotate as stage
    from ..models.endpoint import EndpointConfig

    config = stage.AnnotateConfig(
        annotator=annotator, small=small, big=big, threshold=threshold, model=model or "", snippets=snippets or "",
        fraction=values.share("--fraction", fraction), snap=snap, min_similarity=min_similarity,
        generations=generations, shard=values.shard(shard), limit=limit,
    )  # fmt: skip
    given = {
        "--model": model, "--base-url": base_url, "--snippets": snippets, "--small-url": small_url,
        "--big-url": big_url,
    }  # fmt: skip
    check_flags(config, given)
    call = EndpointConfig(base_url or "", config.model, api_key_env, concurrency, timeout, max_retries)
    endpoints: tuple[EndpointConfig, ...] = (call,) if base_url else ()
    if small_url and big_url:
        endpoints = replace(call, base_url=small_url, model=small), replace(call, base_url=big_url, model=big)
    resources = stage.Resources(endpoints, response_format, max_tokens_total)
    dollars = values.price(price)
    last = stage.Progress()

    def note(progress: "stage.Progress") -> str:
        nonlocal last
        last = progress
        return _note(progress, dollars)

    run_record_stage(
        "annotate",
        in_,
        out,
        lambda source, store, on_record, on_progress: stage.annotate(
            source, config, store, resources, strict=strict, on_record=on_record,
            on_progress=lambda progress: on_progress(progress.rows, note(progress)),
        ),
        strict=strict,
        limit=limit,
        summary=lambda: _summary(last, dollars),
    )  # fmt: skip


def _note(progress: "stage.Progress", dollars: tuple[float, float] | None) -> str:
    parts = [f"{progress.quarantined:,} quarantined"] if progress.quarantined else []
    if tokens := progress.prompt_tokens + progress.completion_tokens:
        parts.append(f"{tokens:,} tokens")
        if dollars:
            cost = (progress.prompt_tokens * dollars[0] + progress.completion_tokens * dollars[1]) / 1e6
            parts.append(f"${cost:,.2f}")
    return " · ".join(parts)


def _summary(progress: "stage.Progress", dollars: tuple[float, float] | None) -> str:
    parts = [f"{progress.empty_rows:,} rows without a wanted generation"] if progress.empty_rows else []
    if progress.prompt_tokens:
        parts.append(f"{progress.prompt_tokens:,} prompt and {progress.completion_tokens:,} completion tokens")
    if dollars and progress.prompt_tokens:
        parts.append(_note(progress, dollars).rpartition(" ")[2])
    return ", ".join(parts)
