"""The spans that a text has already, by its tags. Nobody is asked."""

from collections.abc import Generator, Iterable

from ...layouts.marked import read_marked
from ...layouts.reading import Reading, Refusal, RowRead
from ...records import markup
from ...records.data import AnnotatedTrace, Trace, annotated
from .base import Annotator, Failure, MarkedTrace, Outcome


class GivenAnnotator(Annotator):
    """Takes the spans of tagged texts, of rows with tagged generations, and of annotated traces."""

    summary = "the tags in a text, such as the paper's published rows"
    takes_arguments = False

    def read(self, row: object, reading: Reading) -> RowRead[list[Trace | Refusal]]:
        found = read_marked(row, reading)
        return RowRead([*map(with_spans, found.value)], found.understood, found.generations)

    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        for trace in traces:
            assert isinstance(trace, MarkedTrace), "a trace of another reader"
            try:
                markup.render(trace.reasoning, [(span.start, span.end) for span in trace.spans])
            except markup.MarkupError as error:
                yield Failure(f"{error}. Correct the spans", permanent=True)
            else:
                yield annotated(trace, trace.annotator, trace.spans, trace.unplaced)


def with_spans(trace: AnnotatedTrace | Refusal) -> Trace | Refusal:
    """An annotated trace as one that an annotator reads."""
    return trace if isinstance(trace, Refusal) else MarkedTrace(**vars(trace))
