"""srx annotate"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..annotating.annotators.named import ANNOTATORS, check_flags
from ..errors import UsageError
from ..store.artifacts import Artifact, Store
from ..store.source import STDIN, Source
from . import console, values
from .option_groups import expanded
from .options import Fresh, In, OnProgress, OnRecord, Out, Strict, open_store, run_record_stage
from .reading_options import ReadingFlags

if TYPE_CHECKING:
    from ..annotating import annotate as stage

WHO = "; ".join(f"{name}: {kind.summary}" for name, kind in ANNOTATORS.own.items())


def register(app: typer.Typer) -> None:
    app.command("annotate", epilog="Example: srx annotate --in traces.jsonl --out annotated.jsonl")(expanded(annotate))


@dataclass(frozen=True)
class Surprisal:
    """The pair that scores, and where."""

    small: Annotated[str, typer.Option(help="surprisal: small model; a folder, a Hugging Face name or mini-small.")] = (
        "mini-small"
    )
    big: Annotated[str, typer.Option(help="surprisal: big model with the same vocabulary.")] = "mini-big"
    threshold: Annotated[
        float, typer.Option(help="surprisal: nats by which a token must surprise the small model more.")
    ] = 0.7
    small_url: Annotated[
        str | None, typer.Option(help="surprisal: score on a vLLM server of --small instead of here, with --big-url.")
    ] = None
    big_url: Annotated[str | None, typer.Option(help="surprisal: the vLLM server of --big.")] = None


@dataclass(frozen=True)
class Calls:
    """The chat model that marks, and how servers are called, also those of surprisal."""

    model: Annotated[str | None, typer.Option(help="llm: the chat model's name at the endpoint.")] = None
    base_url: Annotated[
        str | None, typer.Option(help="llm: OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")
    ] = None
    api_key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable that holds the endpoint's key; without it EMPTY is sent."),
    ] = None
    response_format: Annotated[
        Literal["auto", "json_schema", "none"],
        typer.Option(help="llm: force JSON replies; auto asks by delimiters where the endpoint cannot."),
    ] = "auto"
    concurrency: Annotated[int, typer.Option(min=1, help="Calls in flight at once.")] = 64
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one attempt of a call.")] = 600.0
    max_retries: Annotated[
        int, typer.Option(min=0, help="Further attempts after rate limits, server errors and lost connections.")
    ] = 6
    max_tokens_total: Annotated[
        int | None, typer.Option(min=1, help="llm: stop when this command has spent so many tokens, over all its runs.")
    ] = None
    max_completion_tokens: Annotated[
        int | None, typer.Option(min=1, help="llm: at most so many tokens in one reply, thinking included.")
    ] = None
    batch_out: Annotated[
        str | None,
        typer.Option(help="llm: ask nobody, write the open questions for a batch API; - is standard output."),
    ] = None
    batch_in: Annotated[
        list[str] | None,
        typer.Option(help="llm: take the replies in a batch API's output or error file; several by several flags."),
    ] = None
    price: Annotated[
        str | None, typer.Option(help="llm: dollars per million prompt/completion tokens, to show the cost.")
    ] = None

    def resources(self, surprisal: Surprisal) -> "stage.Resources":
        """The servers that are asked, and what that may cost."""
        from ..annotating.annotate import Resources
        from ..models.endpoint import EndpointConfig

        def endpoint(url: str, model: str) -> EndpointConfig:
            return EndpointConfig(url, model, self.api_key_env, self.concurrency, self.timeout, self.max_retries)

        endpoints: tuple[EndpointConfig, ...] = ()
        if self.base_url:
            endpoints = (endpoint(self.base_url, self.model or ""),)
        elif surprisal.small_url and surprisal.big_url:
            endpoints = endpoint(surprisal.small_url, surprisal.small), endpoint(surprisal.big_url, surprisal.big)
        return Resources(
            endpoints,
            self.response_format,
            self.max_tokens_total,
            self.max_completion_tokens,
            tuple(self.batch_in or ()),
        )


@dataclass(frozen=True)
class SnippetFlags:
    """Where snippets come from, and how they are found in a trace."""

    snippets: Annotated[
        str | None, typer.Option(help='snippets: JSONL of {"id": ..., "snippets": [...]}, hardest first.')
    ] = None
    snap: Annotated[
        Literal["word", "line"], typer.Option(help="llm, snippets: what the ends of a span are moved to.")
    ] = "word"
    tokenizer: Annotated[
        str | None, typer.Option(help="divergent: the model whose token ids the rows hold; a folder or a name.")
    ] = None
    min_similarity: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="llm, snippets: how similar the text must be to a snippet.")
    ] = 0.85


@dataclass(frozen=True)
class Rows:
    """What is annotated of the input."""

    reading: ReadingFlags
    shard: Annotated[
        str, typer.Option(help="i/n: only the i-th of n parts, counted from 0 and cut by a hash of the id.")
    ] = "0/1"
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many rows; 0 is all.")] = 0


def annotate(
    *,
    in_: In = "-",
    out: Out = "-",
    annotator: Annotated[
        str, typer.Option(help=f"Who marks. {WHO}; or an annotator of a plugin, as name or name(argument, ...).")
    ] = "surprisal",
    fraction: Annotated[
        str, typer.Option(help="Largest share of a trace's characters to mark; llm asks for about so much.")
    ] = "20%",
    surprisal: Surprisal,
    calls: Calls,
    snippets: SnippetFlags,
    rows: Rows,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Mark the hard spans of reasoning traces.

    Reads records of kind trace, or rows of a reasoning dataset such as OpenR1-Math-220k; writes annotated_trace. Rows
    that are marked already are taken by given and divergent alone, whatever share they mark. What a chat model has been
    paid for is kept: the same command again, or one with other alignment flags, asks only for the rest.
    """
    console.quiet_libraries()
    config = _config(annotator, values.share("--fraction", fraction), surprisal, calls, snippets, rows)
    if calls.batch_out:
        return _write_questions(in_, config, calls.resources(surprisal), calls.batch_out, fresh=fresh)
    dollars = values.price(calls.price)
    return _run(in_, out, config, calls.resources(surprisal), dollars, strict=strict, fresh=fresh)


def _config(
    annotator: str, fraction: float, surprisal: Surprisal, calls: Calls, snippets: SnippetFlags, rows: Rows
) -> "stage.AnnotateConfig":
    """What decides the result. Raises UsageError."""
    from ..annotating.annotate import AnnotateConfig

    config = AnnotateConfig(
        annotator=annotator,
        small=surprisal.small,
        big=surprisal.big,
        threshold=surprisal.threshold,
        model=calls.model or "",
        snippets=snippets.snippets or "",
        tokenizer=snippets.tokenizer or "",
        fraction=fraction,
        snap=snippets.snap,
        min_similarity=snippets.min_similarity,
        reading=rows.reading.reading(),
        shard=values.shard(rows.shard),
        limit=rows.limit,
    )
    given = {
        "--model": calls.model,
        "--base-url": calls.base_url,
        "--batch-in": ", ".join(calls.batch_in or ()),
        "--batch-out": calls.batch_out,
        "--snippets": snippets.snippets,
        "--tokenizer": snippets.tokenizer,
        "--small-url": surprisal.small_url,
        "--big-url": surprisal.big_url,
    }
    check_flags(config, given)
    return config


def _write_questions(
    in_: str, config: "stage.AnnotateConfig", resources: "stage.Resources", out: str, *, fresh: bool
) -> None:
    """Write what a batch API is to answer, and say how much that is."""
    from ..annotating import annotate as stage
    from ..annotating.batches import write_requests

    last = stage.Progress()
    if resources.max_tokens_total:
        raise UsageError("--max-tokens-total bounds calls, and --batch-out makes none", "Bound a batch with --limit")
    store = open_store(fresh=fresh)
    source = Source.open(in_, store)
    with console.progress() as live:
        task = live.add_task("annotate", total=config.limit or source.length(), note="")

        def watch(progress: stage.Progress) -> None:
            nonlocal last
            last = progress
            live.update(task, completed=progress.rows, note=_note(progress, None))

        lines = stage.questions(source, config, store, resources, stage.AnnotateWatcher(on_progress=watch))
        files = [] if out == STDIN else write_requests(Path(out), lines)
        for line in lines:
            console.emit(line)
    where = f" -> {', '.join(map(str, files))}" if files else ""
    known = f"; {last.traces:,} traces are answered, or refused for good" if last.traces else ""
    console.say(f"annotate: {last.questions:,} questions{where}{known}")
    if last.quarantined:
        console.say(f"annotate: {last.quarantined:,} rows cannot be annotated; --batch-in names them")


def _run(
    in_: str,
    out: str,
    config: "stage.AnnotateConfig",
    resources: "stage.Resources",
    dollars: tuple[float, float] | None,
    *,
    strict: bool,
    fresh: bool,
) -> None:
    """Annotate with progress; what was spent is shown while it runs, and after it."""
    from ..annotating import annotate as stage
    from ..annotating.tally import AnnotationTally

    last = stage.Progress()

    def run(source: Source, store: Store, on_record: OnRecord, on_progress: OnProgress) -> tuple[Artifact, bool]:
        def watch(progress: stage.Progress) -> None:
            nonlocal last
            last = progress
            on_progress(progress.rows, _note(progress, dollars))

        watcher = stage.AnnotateWatcher(on_record, watch)
        return stage.annotate(source, config, store, resources, strict=strict, watcher=watcher)

    def complain(artifact: Artifact) -> None:
        for complaint in tally.complaints(config.fraction) if (tally := AnnotationTally.of(artifact)) else ():
            console.note(f"annotate: {complaint}")

    run_record_stage(
        "annotate",
        in_,
        out,
        run,
        strict=strict,
        fresh=fresh,
        limit=config.limit,
        summary=lambda: _summary(last, dollars),
        deliver=complain,
    )


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
