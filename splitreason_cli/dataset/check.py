"""build-sft --check: find what is wrong with tagged records, writing none."""

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError, RecordError
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
    *,
    on_fault: Callable[[RecordError], None] = lambda fault: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Checked:
    """Check records of kind annotated_trace, sft_example and sft_conversation, in any mixture.

    Args:
        traces: what the records were made from, to compare their text with; only digests are kept, on disk if many.
        on_fault: called with every fault as it is found. on_progress: with the number of lines that are read.

    Raises:
        InputError: an input is empty or cannot be read. RecordError: a bad record among `traces`.
    """
    originals = _originals(traces, on_progress) if traces else None
    checked = Checked()
    for line in source.lines():
        checked.records += 1
        on_progress(checked.records)
        try:
            if reason := why_wrong(decode(line, read_tagged), originals):
                raise RecordError(line.where, reason)
        except RecordError as fault:
            checked.rejected += 1
            on_fault(fault)
    if not checked.records:
        raise InputError(f"{source.label}: the input is empty", "Give at least one JSONL record")
    return checked


def _originals(traces: Source, on_progress: Callable[[int], None]) -> Originals:
    originals = Originals()
    for number, trace in enumerate(read_records(traces, read_original, Quarantine()), start=1):
        originals.add(trace)
        on_progress(number)
    return originals
