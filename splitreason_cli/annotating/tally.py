"""What an annotation came to over a whole run, and what there is to complain about."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec
import orjson

from ..records import markup
from ..records.data import AnnotatedTrace, JsonObject
from ..records.lessons import why_unanswered
from ..store.artifacts import Artifact

TALLY = "tally.json"
MOST_WITHOUT_SPANS = 0.1
"""Share of the traces without a span above which it is said."""
LEAST_OF_FRACTION = 0.5
"""Share of the fraction asked for, marked over the whole run, below which it is said."""


@dataclass
class AnnotationTally:
    """Counts over the annotated traces.

    Args:
        nothing: why a trace has no span of which nothing was dropped either, in the annotator's words.
        asked: whether the annotator was asked to mark about the fraction, rather than at most so much.
        characters, marked: of all reasoning, and of it inside spans.
        without_spans: traces without a span by what happened. unplaced: snippets and spans by why they are not marked.
        unanswered: traces that `build-sft` will drop for that.
    """

    nothing: str = "nothing marked"
    asked: bool = False
    traces: int = 0
    characters: int = 0
    marked: int = 0
    unanswered: int = 0
    without_spans: dict[str, int] = field(default_factory=dict)
    unplaced: dict[str, int] = field(default_factory=dict)

    def add(self, trace: AnnotatedTrace) -> None:
        """Count a trace."""
        self.traces += 1
        self.characters += len(trace.reasoning)
        self.marked += markup.covered([(span.start, span.end) for span in trace.spans])
        self.unanswered += why_unanswered(trace.answer, trace.response) is not None
        reasons = Counter[str](one.reason for one in trace.unplaced)
        for reason, count in reasons.items():
            self.unplaced[reason] = self.unplaced.get(reason, 0) + count
        if not trace.spans:
            why = f"every passage {reasons.most_common(1)[0][0]}" if reasons else self.nothing
            self.without_spans[why] = self.without_spans.get(why, 0) + 1

    def complaints(self, fraction: float) -> Iterator[str]:
        """What a user should know before anything is made of the records. `fraction` (0..1) is what was asked for."""
        empty = sum(self.without_spans.values())
        if empty > MOST_WITHOUT_SPANS * self.traces:
            yield f"{empty:,} of {self.traces:,} traces have no span: {_counted(self.without_spans)}"
        share = self.marked / self.characters if self.characters else 1.0
        if (self.asked or "over the fraction" in self.unplaced) and share < LEAST_OF_FRACTION * fraction:
            why = (
                f": of the passages, {_counted(self.unplaced)}"
                if self.unplaced
                else ": so few and short were the passages"
            )
            yield f"{share:.1%} of the characters are marked, less than half of the {fraction:.0%} asked for{why}"
        if self.unanswered:
            yield f"{self.unanswered:,} of {self.traces:,} traces have no answer to teach: build-sft drops them"

    def to_dict(self) -> JsonObject:
        return dict(msgspec.to_builtins(self))

    @classmethod
    def of(cls, artifact: Artifact) -> Self | None:
        """The tally of an artifact; None if it was made before there was one."""
        path = artifact.path / TALLY
        return msgspec.convert(orjson.loads(path.read_bytes()), cls) if path.exists() else None


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items(), key=lambda item: -item[1]))
