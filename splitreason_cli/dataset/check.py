"""build-sft --check: find what is wrong with tagged records, writing none."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..errors import InputError, RecordError
from ..layouts.reading import DEFAULT, Reading, Refusal
from ..models.loading import load_tokenizer
from ..models.tokenizing import why_unteachable
from ..records.data import SftConversation, SftExample
from ..store.jsonl import decode
from ..store.source import Quarantine, Source, read_records
from .linting import Originals, originals_of, tagged_of, why_wrong


@dataclass
class Checked:
    """How many records were read, and how many of them have a fault."""

    records: int = 0
    rejected: int = 0

    @property
    def fine(self) -> int:
        return self.records - self.rejected

    def count(self, fault: RecordError | None, on_fault: Callable[[RecordError], None]) -> None:
        """Count a record, and tell its fault, if it has one."""
        self.records += 1
        if fault:
            self.rejected += 1
            on_fault(fault)

    def __str__(self) -> str:
        return f"checked {self.records:,} records: {self.fine:,} fine, {self.rejected:,} rejected"


def check_sft(
    source: Source,
    traces: Source | None = None,
    reading: Reading = DEFAULT,
    tokenizer: str | None = None,
    *,
    on_fault: Callable[[RecordError], None] = lambda fault: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Checked:
    """Check records of kind annotated_trace, sft_example and sft_conversation, and tagged rows, in any mixture.

    Args:
        traces: what the records were made from, to compare their text with; only digests are kept, on disk if many.
        reading: which traces a row holds that is no record of ours.
        tokenizer: whose chat template training examples and conversations are to fit.
        on_fault: called with every fault as it is found. on_progress: with the number of lines that are read.

    Raises:
        ModelError: the tokenizer does not load, or its template fails.
        InputError: an input is empty or cannot be read. RecordError: a bad record among `traces`.
    """
    originals = _originals(traces, reading, on_progress) if traces else None
    template = load_tokenizer(tokenizer) if tokenizer else None
    checked = Checked()
    for number, line in enumerate(source.lines(), start=1):
        on_progress(number)
        try:
            found = decode(line, partial(tagged_of, reading=reading))
        except RecordError as fault:
            checked.count(fault, on_fault)
            continue
        for record in found:
            reason = record.reason if isinstance(record, Refusal) else why_wrong(record, originals)
            if template and not reason and isinstance(record, SftExample | SftConversation):
                reason = why_unteachable(template, record)
            checked.count(RecordError(line.where, reason) if reason else None, on_fault)
    if not checked.records:
        raise InputError(f"{source.label}: the input is empty", "Give at least one JSONL record")
    return checked


def _originals(traces: Source, reading: Reading, on_progress: Callable[[int], None]) -> Originals:
    originals = Originals()
    rows = read_records(traces, partial(originals_of, reading=reading), Quarantine())
    for number, found in enumerate(rows, start=1):
        for trace in found:
            originals.add(trace)
        on_progress(number)
    return originals
