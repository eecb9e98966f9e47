"""What hypothesis makes of the records."""

from hypothesis import strategies as st

from splitreason_cli.dataset.sft import why_malformed
from splitreason_cli.records import markup
from splitreason_cli.records.data import AnnotatedTrace, HardSpan
from splitreason_cli.records.lessons import why_unanswered

# Pieces of tags and marks stand among the text, where they can meet the real ones.
TEXT = st.lists(
    st.sampled_from(["a", "é", "\n", " ", "<", ">", "/", "big", "model", "bigmodel>", "<think", "</", "𝔸", "one two"]),
    max_size=30,
).map("".join)


@st.composite
def annotated_traces(draw, problems=TEXT):
    """A well-formed annotated trace."""
    reasoning = draw(TEXT)
    ends = st.integers(0, len(reasoning))
    spans = markup.normalize([tuple(sorted(pair)) for pair in draw(st.lists(st.tuples(ends, ends), max_size=5))])
    return AnnotatedTrace(
        id="t",
        problem=draw(problems),
        answer=draw(TEXT),
        response=draw(TEXT),
        reasoning=reasoning,
        annotator="x",
        spans=tuple(HardSpan(start=start, end=end, score=1.0) for start, end in spans),
    )


def well_formed(problems=TEXT):
    """Annotated traces that become training records."""
    return annotated_traces(problems).filter(
        lambda trace: not why_malformed(trace) and not why_unanswered(trace.answer, trace.response)
    )
