"""The interface of annotators, and the simplest of them: snippets that were made elsewhere."""

import hashlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..records.data import AnnotatedTrace, HardSpan, Snippets, Trace, Unplaced
from ..store.jsonl import decode, read_lines
from .alignment import AlignConfig, align


@dataclass(frozen=True)
class Failure:
    """Why a trace could not be annotated; a rerun tries it again unless that would fail in the same way."""

    reason: str
    permanent: bool = False


Outcome = AnnotatedTrace | Failure


class Annotator(Protocol):
    """Something that marks the hard spans of traces."""

    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        """One outcome for each trace, in their order.

        Raises:
            SrxError: no further trace can be annotated. What was paid for until then is kept.
        """


def annotated(
    trace: Trace, annotator: str, spans: Sequence[HardSpan], unplaced: Sequence[Unplaced] = ()
) -> AnnotatedTrace:
    """The trace with its spans."""
    return AnnotatedTrace(
        id=trace.id, problem=trace.problem, answer=trace.answer, reasoning=trace.reasoning, response=trace.response,
        spans=tuple(spans), unplaced=tuple(unplaced), annotator=annotator, extra=trace.extra,
    )  # fmt: skip


def trace_key(trace: Trace) -> str:
    """What a reply about a trace is kept under: a digest of its id and text."""
    text = f"{trace.id}\0{trace.problem}\0{trace.reasoning}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class SnippetsAnnotator:
    """Places the snippets of a JSONL file of kind `snippets`, which are held in memory.

    Raises InputError or RecordError if the file cannot be read.
    """

    def __init__(self, path: Path, config: AlignConfig) -> None:
        self._path = path
        self._config = config
        records = (decode(line, Snippets.from_dict) for line in read_lines(path))
        self._snippets = {record.id: record.snippets for record in records}

    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        for trace in traces:
            snippets = self._snippets.get(trace.id)
            if snippets is None:
                yield Failure(f"{self._path} holds no snippets for the id {trace.id!r}", permanent=True)
                continue
            spans, unplaced = align(trace.reasoning, snippets, self._config)
            yield annotated(trace, "snippets", spans, unplaced)
