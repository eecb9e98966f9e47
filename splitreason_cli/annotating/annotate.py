"""annotate: mark the hard spans of reasoning traces, by one of three annotators."""

import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from ..errors import RecordError
from ..models.endpoint import EndpointConfig
from ..models.loading import model_digest
from ..records import markup
from ..records.data import Trace
from ..store.artifacts import RECORDS, REJECTED, Artifact, Journal, Recipe, Store, file_digest
from ..store.jsonl import Line, encode
from ..store.replies import Replies
from ..store.source import Quarantine, Source, located_records
from .alignment import AlignConfig
from .annotators import Annotator, Failure, SnippetsAnnotator
from .llm import BudgetSpentError, LlmAnnotator, ResponseFormat, question_key
from .rows import Generations, traces_of
from .surprisal import LocalSurprisal, ServedSurprisal, SurprisalConfig

STAGE = "annotate"
WRITE_EVERY = 256


@dataclass(frozen=True)
class AnnotateConfig:
    """What decides the result.

    Args:
        small, big: the pair that `surprisal` scores with; of `big`, the same vocabulary.
        threshold: nats by which a token must surprise the small model more.
        model: the chat model that `llm` asks.
        snippets: the file that `snippets` reads.
        fraction: the largest share of a trace's characters to mark, 0..1.
        shard: `i/n` keeps the traces whose id falls into the i-th of n parts, counted from 0.
        limit: read at most so many rows; 0 is all.
    """

    annotator: Literal["surprisal", "llm", "snippets"] = "surprisal"
    small: str = "mini-small"
    big: str = "mini-big"
    threshold: float = 0.7
    model: str = ""
    snippets: str = ""
    fraction: float = 0.2
    snap: Literal["word", "line"] = "word"
    min_similarity: float = AlignConfig.min_similarity
    generations: Generations = "correct"
    shard: str = "0/1"
    limit: int = 0

    @property
    def alignment(self) -> AlignConfig:
        return AlignConfig(min_similarity=self.min_similarity, snap=self.snap, fraction=self.fraction)

    @property
    def surprisal(self) -> SurprisalConfig:
        return SurprisalConfig(self.small, self.big, self.threshold, self.fraction)


@dataclass(frozen=True)
class Resources:
    """What the result does not depend on: where models are served, how hard they are asked, what it may cost.

    Args:
        endpoints: the chat model's server for `llm`; for `surprisal` none, or those of the small and big model.
        max_tokens_total: the tokens that all runs of this command together may spend.
    """

    endpoints: tuple[EndpointConfig, ...] = ()
    response_format: ResponseFormat = "auto"
    max_tokens_total: int | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run is. `rows` counts input rows, `empty_rows` those without a wanted generation, `traces` annotated
    ones; tokens are those of paid calls, also of earlier runs of the same command."""

    rows: int = 0
    empty_rows: int = 0
    traces: int = 0
    quarantined: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def annotate(
    source: Source,
    config: AnnotateConfig,
    store: Store,
    resources: Resources = Resources(),
    *,
    strict: bool = False,
    on_record: Callable[[bytes], None] = lambda line: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Artifact, bool]:
    """Annotate every trace of `source`; returns the artifact and whether it was there already.

    Traces that the annotator fails on are quarantined like malformed ones, but leave the artifact unpublished, so that
    a rerun tries them again. So does a spent token budget.

    Args:
        on_record: called with each encoded record in input order, unless the artifact was there already.

    Raises:
        ModelError: the models do not load or do not share a vocabulary.
        EndpointError: a server refuses every call, or does not answer.
        InputError, RecordError: see `read_records`.
    """
    recipe = Recipe(STAGE, asdict(config), {"in": source.digest, **_annotator_inputs(config)})
    if found := store.find(recipe):
        return found, True
    with store.work(recipe) as work:
        run = _Run(source, config, Quarantine(None if strict else work / REJECTED), on_progress)
        annotator = _annotator(config, resources, store, recipe, run)
        journal = Journal(work / RECORDS)
        journal.restart(0)
        unfinished = run.write(annotator, journal, on_record)
        if unfinished:
            return store.draft(recipe, work, run.progress.traces, unfinished), False
        return store.publish(recipe, work, run.progress.traces), False


class _Run:
    """One pass over the source: rows in, records and quarantined lines out."""

    def __init__(
        self, source: Source, config: AnnotateConfig, quarantine: Quarantine, on_progress: Callable[[Progress], None]
    ) -> None:
        self.progress = Progress()
        self._source, self._config, self._quarantine, self._on_progress = source, config, quarantine, on_progress
        self._pending: deque[tuple[int, Line]] = deque()
        self._failed = 0

    def write(self, annotator: Annotator, journal: Journal, on_record: Callable[[bytes], None]) -> str:
        """Annotate everything; returns what is left to do, if anything is."""
        lines: list[bytes] = []
        try:
            # Closing lets the calls in flight end, whose replies are paid for.
            with contextlib.closing(annotator.annotate(self._traces())) as outcomes:
                for outcome in outcomes:
                    row, line = self._pending.popleft()
                    if isinstance(outcome, Failure):
                        self._failed += not outcome.permanent
                        self._reject(line, outcome.reason)
                    else:
                        lines.append(encode(outcome))
                        on_record(lines[-1])
                        self.tell(traces=self.progress.traces + 1)
                    self.tell(rows=row)
                    if len(lines) >= WRITE_EVERY:
                        journal.append(lines)
                        lines = []
        except BudgetSpentError as stop:
            spent = self.progress.prompt_tokens + self.progress.completion_tokens
            return f"{stop.message}, {spent:,} tokens are spent. {stop.hint}"
        finally:
            journal.append(lines)
        return f"traces that could not be annotated: {self._failed:,}. A rerun tries them again" if self._failed else ""

    def tell(self, **changes: int) -> None:
        """Note and report progress."""
        self.progress = replace(self.progress, **changes)
        self._on_progress(self.progress)

    def _traces(self) -> Iterator[Trace]:
        """The well-formed traces of this shard; each one's row waits in `_pending` for its outcome."""
        read = partial(traces_of, generations=self._config.generations)
        seen: set[bytes] = set()
        rows = located_records(self._source, read, self._quarantine)
        for row, (line, traces) in enumerate(rows, start=1):
            if not traces:
                self.tell(empty_rows=self.progress.empty_rows + 1)
            for trace in traces:
                digest = hashlib.sha256(trace.id.encode("utf-8", "surrogatepass")).digest()[:8]
                if not _is_in(self._config.shard, digest):
                    continue
                reason = f"the id {trace.id!r} was seen before" if digest in seen else why_unusable(trace)
                if reason:
                    self._reject(line, reason)
                    continue
                seen.add(digest)
                self._pending.append((row, line))
                yield trace
            if row == self._config.limit:
                return

    def _reject(self, line: Line, reason: str) -> None:
        self._quarantine.add(line, RecordError(line.where, reason))
        self.tell(quarantined=self.progress.quarantined + 1)


def why_unusable(trace: Trace) -> str | None:
    """What keeps a trace from being annotated, or None."""
    tag = markup.contains_tag(trace.reasoning)
    if tag:
        return f"field 'reasoning' already contains the tag {tag}. Give the plain trace"
    if markup.THINK_CLOSE in trace.reasoning:
        return f"field 'reasoning' contains {markup.THINK_CLOSE}. Give only what stands before it"
    if not trace.reasoning.strip():
        return "field 'reasoning' is empty. Give the trace's text"
    return None


def _annotator_inputs(config: AnnotateConfig) -> dict[str, str]:
    if config.annotator == "surprisal":
        return {"small": model_digest(config.small), "big": model_digest(config.big)}
    if config.annotator == "snippets":
        return {"snippets": file_digest(Path(config.snippets))}
    return {}


def _annotator(config: AnnotateConfig, resources: Resources, store: Store, recipe: Recipe, run: _Run) -> Annotator:
    if config.annotator == "snippets":
        return SnippetsAnnotator(Path(config.snippets), config.alignment)
    if config.annotator == "llm":
        question = f"llm-{question_key(config.model, config.fraction)}"
        replies = Replies(store.folder("replies", question), recipe.key)
        return LlmAnnotator(
            resources.endpoints[0], config.fraction, config.alignment, replies, resources.response_format,
            resources.max_tokens_total,
            lambda prompt, completion: run.tell(prompt_tokens=prompt, completion_tokens=completion),
        )  # fmt: skip
    question = repr((recipe.code, recipe.inputs["small"], recipe.inputs["big"], config.threshold))
    name = f"surprisal-{hashlib.sha256(question.encode()).hexdigest()[:16]}"
    replies = Replies(store.folder("replies", name), recipe.key)
    if resources.endpoints:
        small, big = resources.endpoints
        return ServedSurprisal(config.surprisal, (small, big), replies)
    return LocalSurprisal(config.surprisal, replies)


def _is_in(shard: str, digest: bytes) -> bool:
    index, count = map(int, shard.split("/"))
    return int.from_bytes(digest) % count == index
