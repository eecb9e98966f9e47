"""annotate: mark the hard spans of reasoning traces, by an annotator."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial

import orjson

from ..errors import RecordError
from ..layouts.identity import UniqueIds, id_digest
from ..layouts.reading import FirstLook, Refusal
from ..records import markup
from ..records.data import Trace
from ..records.lessons import why_unanswered, why_wrong_lesson
from ..store.artifacts import RECORDS, REJECTED, Artifact, Begun, Recipe, Store
from ..store.digests import code_of
from ..store.disk_map import DiskMap
from ..store.journal import Journal
from ..store.jsonl import Line, encode, write_atomically
from ..store.source import Quarantine, Source, located_records
from .annotators.base import Annotator, BudgetSpentError, Failure, Job
from .annotators.llm import LlmAnnotator
from .annotators.named import ANNOTATORS, annotator_of
from .batches import request_line
from .config import LOCAL, AnnotateConfig, Resources
from .tally import TALLY, AnnotationTally

__all__ = ["AnnotateConfig", "AnnotateWatcher", "Progress", "Resources", "annotate", "questions"]

STAGE = "annotate"
WRITE_EVERY = 256


@dataclass(frozen=True)
class Progress:
    """How far a run is. `rows` counts input rows, `empty_rows` those without a wanted generation, `traces` annotated
    ones, `questions` those written for a batch; tokens are those of paid calls, also of earlier runs of this command.
    """

    rows: int = 0
    empty_rows: int = 0
    traces: int = 0
    quarantined: int = 0
    questions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class AnnotateWatcher:
    """What is told while a run goes on.

    Args:
        on_record: each encoded record in input order, unless the artifact was there already.
        on_progress: how far the run is, whenever that changes.
    """

    on_record: Callable[[bytes], None] = lambda line: None
    on_progress: Callable[[Progress], None] = lambda progress: None


def annotate(
    source: Source,
    config: AnnotateConfig,
    store: Store,
    resources: Resources = LOCAL,
    *,
    strict: bool = False,
    watcher: AnnotateWatcher | None = None,
) -> tuple[Artifact, bool]:
    """Annotate every trace of `source`; returns the artifact and whether it was there already.

    Traces that the annotator fails on are quarantined like malformed ones, but leave the artifact unpublished, so that
    a rerun tries them again. So does a spent token budget.

    Raises:
        UsageError: there is no such annotator. MachineError: the package that adds it cannot be imported.
        ModelError: the models do not load or do not share a vocabulary.
        EndpointError: a server refuses every call, or does not answer.
        InputError, RecordError: see `read_records`.
    """
    kind, recipe = _recipe(source, config)
    if found := store.find(recipe):
        return found, True
    with store.work(recipe) as work:
        quarantine = Quarantine(None if strict else work / REJECTED)
        run = _Run(source, config, quarantine, watcher or AnnotateWatcher(), store.on_note)
        run.tally = AnnotationTally(kind.nothing, kind.is_asked)
        annotator = kind.make(Job(config, resources, store, recipe, Begun.of(work), run.paid))
        journal = Journal(work / RECORDS)
        journal.restart(0)
        unfinished = run.write(annotator, journal)
        write_atomically(work / TALLY, iter([orjson.dumps(run.tally.to_dict())]))
        if unfinished:
            return store.draft(recipe, work, run.progress.traces, unfinished), False
        return store.publish(recipe, work, run.progress.traces), False


def questions(
    source: Source, config: AnnotateConfig, store: Store, resources: Resources, watcher: AnnotateWatcher
) -> Iterator[bytes]:
    """A batch request for each trace of `source` that has no paid reply and was not refused for good.

    Progress counts those that have one as `traces`. Raises as `annotate` does, which quarantines what is quarantined
    here.
    """
    _, recipe = _recipe(source, config)
    with store.work(recipe) as work:
        run = _Run(source, config, Quarantine(work / REJECTED), watcher, store.on_note)
        annotator = LlmAnnotator(Job(config, resources, store, recipe, Begun.of(work), run.paid))
        yield from run.questions(annotator)


def _recipe(source: Source, config: AnnotateConfig) -> tuple[type[Annotator], Recipe]:
    """Who annotates, and what makes the result."""
    name, kind = annotator_of(config.annotator)
    source_code = ANNOTATORS.source(name)
    inputs = {"in": source.digest, **kind.inputs(config), **({"annotator": source_code} if source_code else {})}
    return kind, Recipe(STAGE, asdict(config), inputs, code_of(__name__, kind.libraries))


class _Run:
    """One pass over the source: rows in, records and quarantined lines out."""

    def __init__(
        self,
        source: Source,
        config: AnnotateConfig,
        quarantine: Quarantine,
        watcher: AnnotateWatcher,
        on_note: Callable[[str], None],
    ) -> None:
        self._on_note = on_note
        self.progress, self.tally = Progress(), AnnotationTally()
        self._source, self._config, self._quarantine, self._watcher = source, config, quarantine, watcher
        self._pending: deque[tuple[int, Line]] = deque()
        self._failed, self._warned = 0, False

    def write(self, annotator: Annotator, journal: Journal) -> str:
        """Annotate everything; returns what is left to do, if anything is."""
        lines: list[bytes] = []
        try:
            # Closing lets the calls in flight end, whose replies are paid for.
            with contextlib.closing(annotator.annotate(self._traces(annotator))) as outcomes:
                for outcome in outcomes:
                    row, line = self._pending.popleft()
                    if isinstance(outcome, Failure):
                        self._failed += not outcome.permanent
                        self._reject(line, outcome.reason)
                    else:
                        self.tally.add(outcome)
                        lines.append(encode(outcome))
                        self._watcher.on_record(lines[-1])
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
        return f"traces that could not be annotated: {self._failed:,}. {annotator.remedy}" if self._failed else ""

    def questions(self, annotator: LlmAnnotator) -> Iterator[bytes]:
        """The batch requests of all traces that need one."""
        for trace in self._traces(annotator):
            row, _ = self._pending.popleft()
            question = annotator.question(trace)
            if not question:
                self.tell(rows=row, traces=self.progress.traces + 1)
            else:
                self.tell(rows=row, questions=self.progress.questions + 1)
                yield request_line(*question)

    def paid(self, prompt: int, completion: int) -> None:
        """Note the tokens that were paid for until now."""
        self.tell(prompt_tokens=prompt, completion_tokens=completion)

    def tell(self, **changes: int) -> None:
        """Note and report progress."""
        self.progress = replace(self.progress, **changes)
        self._watcher.on_progress(self.progress)

    def _traces(self, annotator: Annotator) -> Iterator[Trace]:
        """The well-formed traces of this shard; each one's row waits in `_pending` for its outcome."""
        look, ids = FirstLook(self._source.label, "trace", self._on_note), UniqueIds(DiskMap())
        read = look.over(partial(annotator.read, reading=self._config.reading))
        rows = located_records(self._source, read, self._quarantine, annotator.lines)
        for row, (line, traces) in enumerate(rows, start=1):
            if not traces:
                self.tell(empty_rows=self.progress.empty_rows + 1)
            for trace in traces:
                if isinstance(trace, Refusal):
                    self._reject(line, trace.reason)
                    continue
                named = replace(trace, id=ids.of(trace.id))
                if not _is_in(self._config.shard, id_digest(named.id)):
                    continue
                if reason := why_unusable(named):
                    self._reject(line, reason)
                    continue
                self._warn(line, named)
                self._pending.append((row, line))
                yield named
            if row == self._config.limit:
                break
        look.finish()
        # Lines that no row could be read from are among them.
        self.tell(quarantined=self._quarantine.count)
        if ids.note:
            self._on_note(f"{self._source.label}: {ids.note}")

    def _warn(self, line: Line, trace: Trace) -> None:
        reason = why_unanswered(trace.answer, trace.response)
        if reason and not self._warned:
            self._warned = True
            self._on_note(f"{line.where}: {reason}, so build-sft will drop it, and others like it")

    def _reject(self, line: Line, reason: str) -> None:
        self._quarantine.add(line, RecordError(line.where, reason))
        self.tell(quarantined=self._quarantine.count)


def why_unusable(trace: Trace) -> str | None:
    """What keeps a trace from being annotated, or None."""
    tag = markup.contains_tag(trace.reasoning)
    if tag:
        return f"field 'reasoning' already contains the tag {tag}. Give the plain trace"
    if not trace.reasoning.strip():
        return "field 'reasoning' is empty. Give the trace's text"
    return why_wrong_lesson(trace)


def _is_in(shard: str, digest: bytes) -> bool:
    index, count = map(int, shard.split("/"))
    return int.from_bytes(digest) % count == index
