"""Which traces a training set keeps: one of each problem, none that a benchmark holds, that is too long
or that has no answer."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import msgspec

from ..records import markup
from ..records.data import AnnotatedTrace, JsonObject, SftRecord
from ..records.lessons import why_unanswered
from ..store.disk_map import DiskMap
from .decontamination import NgramIndex
from .sft import BuildSftConfig, Split, build, split_of


@dataclass(frozen=True)
class Drop:
    """Why a good trace is left out."""

    reason: str


@dataclass
class SelectionTally:
    """What became of the traces. `found_in` counts by benchmark file; characters are those of the kept reasoning."""

    splits: dict[str, int] = field(default_factory=lambda: {"train": 0, "test": 0})
    annotators: dict[str, int] = field(default_factory=dict)
    spans: int = 0
    characters: int = 0
    span_characters: int = 0
    repeated: int = 0
    found_in: dict[str, int] = field(default_factory=dict)
    too_long: int = 0
    unanswered: int = 0
    quarantined: int = 0

    @property
    def kept(self) -> int:
        return sum(self.splits.values())

    @property
    def dropped(self) -> int:
        return self.repeated + sum(self.found_in.values()) + self.too_long + self.unanswered

    @property
    def span_share(self) -> float:
        """Characters inside spans / characters of the reasoning; 0 without any."""
        return self.span_characters / self.characters if self.characters else 0.0

    def keep(self, trace: AnnotatedTrace, split: Split) -> None:
        self.splits[split] += 1
        self.annotators[trace.annotator] = self.annotators.get(trace.annotator, 0) + 1
        self.spans += len(trace.spans)
        self.characters += len(trace.reasoning)
        self.span_characters += markup.covered([(span.start, span.end) for span in trace.spans])

    def describe_dropped(self, max_tokens: int | None) -> str:
        """The drops in one line, such as `12 repeated problems, 3 found in aime24.jsonl`; empty without any."""
        parts = [f"{self.repeated:,} repeated problem{'s' * (self.repeated != 1)}"] if self.repeated else []
        parts += [f"{count:,} found in {file}" for file, count in self.found_in.items()]
        parts += [f"{self.too_long:,} over {max_tokens:,} tokens"] if self.too_long else []
        parts += [f"{self.unanswered:,} without an answer"] if self.unanswered else []
        return ", ".join(parts)

    def to_dict(self) -> JsonObject:
        return dict(msgspec.to_builtins(self))

    @classmethod
    def from_dict(cls, value: object) -> Self:
        return msgspec.convert(value, cls)


class Selection:
    """Decides trace by trace, and counts in `tally`. Remembers 16 bytes of each problem it kept, on disk if many.

    A repeated problem is dropped only if another trace of it was kept, so one that is too long costs no problem.

    Args:
        ngrams: the benchmark problems, if the data is to be free of them.
        count_tokens: the lengths of records in tokens, if they are to be counted.
        tally: what became of the traces until now.
    """

    def __init__(
        self,
        config: BuildSftConfig,
        ngrams: NgramIndex | None = None,
        count_tokens: Callable[[Sequence[SftRecord]], list[int]] | None = None,
        tally: SelectionTally | None = None,
    ) -> None:
        self.config, self.ngrams, self.count_tokens = config, ngrams, count_tokens
        self.tally = tally or SelectionTally()
        self._splits = DiskMap()
        self._counted: dict[int, int] = {}

    def remember(self, digest: bytes, split: Split) -> None:
        """Note that a trace of the problem with this digest was kept."""
        self._splits.add(digest, split.encode())

    def look_ahead(self, traces: Sequence[AnnotatedTrace]) -> None:
        """Count the tokens of what `choose` is asked about next, all at once, which costs less than one by one."""
        if self.count_tokens is None:
            return
        firsts: dict[bytes | int, AnnotatedTrace] = {}
        for trace in traces:
            digest = problem_digest(trace.problem)
            # A copy is counted if it turns out to be needed: mostly the first one is kept.
            if not self.config.dedup:
                firsts[id(trace)] = trace
            elif digest not in self._splits:
                firsts.setdefault(digest, trace)
        lengths = self.count_tokens([build(trace, self.config, "train") for trace in firsts.values()])
        self._counted = dict(zip(map(id, firsts.values()), lengths, strict=True))

    def choose(self, trace: AnnotatedTrace) -> SftRecord | Drop:
        """The training record of a trace, or why it is dropped. Raises MarkupError if its spans do not fit."""
        if reason := why_unanswered(trace.answer, trace.response):
            self.tally.unanswered += 1
            return Drop(reason)
        digest = problem_digest(trace.problem)
        if self.config.dedup and digest in self._splits:
            self.tally.repeated += 1
            return Drop("the problem is that of an earlier trace")
        if self.ngrams and (found := self.ngrams.find(trace.problem)):
            self.tally.found_in[found.file] = self.tally.found_in.get(found.file, 0) + 1
            return Drop(found.reason)
        # Copies that differ in case or white space follow the first one, or they would leak from train into test.
        split = self._split(digest) or split_of(trace.problem, self.config.test_fraction)
        record = build(trace, self.config, split)
        if self.count_tokens:
            counted, limit = self._counted.pop(id(trace), None), self.config.max_tokens
            tokens = self.count_tokens([record])[0] if counted is None else counted
            if limit is not None and tokens > limit:
                self.tally.too_long += 1
                return Drop(f"{tokens:,} tokens, more than {limit:,}")
            record = replace(record, tokens=tokens)
        self.remember(digest, split)
        self.tally.keep(trace, split)
        return record

    def _split(self, digest: bytes) -> Split | None:
        found = self._splits.get(digest)
        return None if found is None else "test" if found == b"test" else "train"


def problem_digest(problem: str) -> bytes:
    """16 bytes that tell problems apart, whatever their case and white space."""
    normal = " ".join(problem.casefold().split())
    return hashlib.sha256(normal.encode("utf-8", "surrogatepass")).digest()[:16]
