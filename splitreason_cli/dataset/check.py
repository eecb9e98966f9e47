"""build-sft --check: find what is wrong with tagged records, writing none."""

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError, RecordError
from ..models.loading import load_tokenizer
from ..models.tokenizing import why_unteachable
from ..records.data import AnnotatedTrace
from ..store.jsonl import decode
from ..store.source import Quarantine, Source, read_records
from .linting import Originals, read_original, read_tagged, why_wrong


@dataclass
class Checked:
    """How many records were read, and how many of them have a fault."""

    records: int = 0
    rejected: int = 0

    @property
    def fine(self) -> int:
        return self.records - self.rejected

    def __str__(self) -> str:
        return f"checked {self.records:,} records: {self.fine:,} fine, {self.rejected:,} rejected"


def check_sft(
    source: Source,
    traces: Source | None = None,
    tokenizer: str | None = None,
    *,
    on_fault: Callable[[RecordError], None] = lambda fault: None,
) -> Checked:
    """Check records of kind annotated_trace, sft_example and sft_conversation, in any mixture.

    Args:
        tokenizer: whose chat template training examples and conversations are to fit.
        traces: what the records were made from, to compare their text with; only digests are kept in memory.
        on_fault: called with every fault as it is found.

    Raises:
        ModelError: the tokenizer does not load, or its template fails.
        InputError: an input is empty or cannot be read. RecordError: a bad record among `traces`.
    """
    originals = _originals(traces) if traces else None
    template = load_tokenizer(tokenizer) if tokenizer else None
    checked = Checked()
    for line in source.lines():
        checked.records += 1
        try:
            record = decode(line, read_tagged)
            reason = why_wrong(record, originals)
            if template and not reason and not isinstance(record, AnnotatedTrace):
                reason = why_unteachable(template, record)
            if reason:
                raise RecordError(line.where, reason)
        except RecordError as fault:
            checked.rejected += 1
            on_fault(fault)
    if not checked.records:
        raise InputError(f"{source.label}: the input is empty", "Give at least one JSONL record")
    return checked


def _originals(traces: Source) -> Originals:
    originals = Originals()
    for trace in read_records(traces, read_original, Quarantine()):
        originals.add(trace)
    return originals
