"""What one record contributes to the statistics of its kind: its numbers, its spans, and how it is counted."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch

from ..records import markup
from ..records.data import (
    AnnotatedTrace,
    ArtifactInfo,
    BenchComparison,
    BenchResult,
    Generation,
    GrpoStep,
    LatencyResult,
    Message,
    Problem,
    Record,
    Rejected,
    SftConversation,
    SftExample,
    SftRecord,
    Simulation,
    Snippets,
    Trace,
    TrainStep,
    label,
)

STEP = "step"
"""The measure of a `train_step` over which its others are drawn."""

GROUP_BY = {
    "generation": "system",
    "bench_result": "system",
    "bench_comparison": "systems",
    "latency": "mode",
    "simulation": "mode",
    "artifact": "stage",
}
"""What the records of a kind are told apart by; the other kinds make one group."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """The contribution of one record.

    Attributes:
        group: the system, mode or stage of the record, empty for the kinds that are not in `GROUP_BY`.
        values: numbers by measure; the name says the unit, a share is 0..1. A measure of spans has one number a span.
        tallies: how often each label of each tally applies.
        spans: sorted, disjoint ranges [start, end) of 0..`length`.
        length: of the text the spans lie in, in the same unit, characters or tokens; 0 where the kind has no spans.
        malformed: why the record has no usable spans, and therefore neither values nor spans; empty if it is sound.
    """

    group: str = ""
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tallies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    spans: Sequence[markup.Span] = ()
    length: int = 0
    malformed: str = ""


@singledispatch
def measure(record: Record) -> Measures:
    """The contribution of a record of any kind. Raises TypeError for a class that has no measures."""
    raise TypeError(f"no measures for records of kind '{record.kind}'")


@measure.register
def _problem(problem: Problem) -> Measures:
    return Measures(values={"problem, characters": [len(problem.problem)]})


@measure.register
def _trace(trace: Trace) -> Measures:
    # An empty response means that it is not known.
    responses = [len(trace.response)] if trace.response else []
    return Measures(values={"reasoning, characters": [len(trace.reasoning)], "response, characters": responses})


@measure.register
def _snippets(record: Snippets) -> Measures:
    lengths = [len(snippet) for snippet in record.snippets]
    return Measures(values={"snippets per trace": [len(lengths)], "snippet, characters": lengths})


@measure.register
def _annotated_trace(trace: AnnotatedTrace) -> Measures:
    spans = [(span.start, span.end) for span in trace.spans]
    try:
        markup.render(trace.reasoning, spans)
    except markup.MarkupError as error:
        return Measures(malformed=str(error))
    length = len(trace.reasoning)
    exact = sum(span.similarity >= 1 for span in trace.spans)
    return Measures(
        values={
            "share in spans": _ratio(markup.covered(spans), length),
            "spans per trace": [len(spans)],
            "trace, characters": [length],
            "span, characters": [end - start for start, end in spans],
            "unplaced per trace": [len(trace.missed)],
        },
        tallies={"span similarity": {"1": exact, "below 1": len(spans) - exact}},
        spans=spans,
        length=length,
    )


@measure.register
def _example(example: SftExample) -> Measures:
    return _sft(example, example.completion)


@measure.register
def _conversation(conversation: SftConversation) -> Measures:
    return _sft(conversation, _assistant(conversation.messages))


def _sft(record: SftRecord, tagged: str | None) -> Measures:
    tallies = {"split": {str(record.split): 1}}
    if tagged is None:
        return Measures(tallies=tallies, malformed="no message has the role assistant")
    try:
        text, spans = markup.parse(tagged)
    except markup.MarkupError as error:
        return Measures(tallies=tallies, malformed=str(error))
    return Measures(
        values={
            "share in spans": _ratio(markup.covered(spans), len(text)),
            "spans per completion": [len(spans)],
            "span, characters": [end - start for start, end in spans],
            "example, tokens": [] if record.tokens is None else [record.tokens],
            # Two units in one measure would mean nothing, so each length is counted where it belongs.
            "completion, characters": [len(text)] if record.tokens is None else [],
        },
        tallies=tallies,
        spans=spans,
        length=len(text),
    )


def _assistant(messages: Sequence[Message]) -> str | None:
    return next((message.content for message in reversed(messages) if message.role == "assistant"), None)


@measure.register
def _generation(generation: Generation) -> Measures:
    spans, length = [], 0
    for segment in generation.segments:
        start, length = length, length + len(segment.token_ids)
        if segment.author == "big" and start < length:
            spans.append((start, length))
    spans = markup.normalize(spans)
    verdict = {True: "right", False: "wrong", None: "no verdict"}[generation.correct]
    return Measures(
        group=generation.system,
        values={
            "offload share": _ratio(generation.big_tokens, generation.tokens),
            "spans per completion": [len(spans)],
            "completion, tokens": [generation.tokens],
            "span, tokens": [end - start for start, end in spans],
        },
        tallies={
            "answer": {verdict: 1},
            "hand-over": {"granted": generation.spans, "refused": generation.refused},
            "span": {"whole": generation.spans - generation.cut, "cut": generation.cut},
            "end of text": {"inside a span": generation.unclosed, "outside": 1 - generation.unclosed},
        },
        spans=spans,
        length=length,
    )


@measure.register
def _bench_result(result: BenchResult) -> Measures:
    shares = [] if result.offload_share is None else [result.offload_share]
    rates = {"pass@1": [] if result.pass_at_1 is None else [result.pass_at_1], "offload share": shares}
    return Measures(group=label(result.system, result.offload_budget), values=rates)


@measure.register
def _bench_comparison(found: BenchComparison) -> Measures:
    mine, theirs = label(found.system, found.offload_budget), label(found.baseline, found.baseline_budget)
    values = {"difference in pass@1": [found.difference], "p-value": [found.p_value]}
    return Measures(group=f"{mine} less {theirs}", values=values)


@measure.register
def _latency(result: LatencyResult) -> Measures:
    return Measures(group=result.mode, values={"seconds": [result.seconds]})


@measure.register
def _train_step(step: TrainStep) -> Measures:
    return Measures(values={STEP: [step.step], "loss": [step.loss], "learning rate": [step.learning_rate]})


@measure.register
def _grpo_step(step: GrpoStep) -> Measures:
    names = (
        "reward",
        "accuracy",
        "price_paid",
        "share",
        "spans",
        "span_tokens",
        "closed",
        "unclosed",
        "tokens",
        "price",
    )
    # Runs of an older srx have not logged all of them.
    known = {name: value for name in names if (value := getattr(step, name)) is not None}
    return Measures(
        values={STEP: [step.step], **{name.replace("_", " "): [value] for name, value in known.items()}},
        tallies={"warning": {step.warning: 1} if step.warning else {}},
    )


@measure.register
def _simulation(simulation: Simulation) -> Measures:
    return Measures(
        group=f"{simulation.system}, {simulation.mode}" if simulation.system else simulation.mode,
        values={
            "seconds per completion": _ratio(simulation.seconds, simulation.generations),
            "relative to small": [simulation.relative_to_small],
            "speed-up over big": [simulation.speedup_over_big],
        },
    )


@measure.register
def _rejected(rejected: Rejected) -> Measures:
    # Line, column and character numbers would make every reason one of its own.
    return Measures(tallies={"reason": {re.sub(r"\d+", "N", rejected.reason): 1}})


@measure.register
def _artifact(info: ArtifactInfo) -> Measures:
    return Measures(group=info.stage, values={"records": [info.records], "bytes": [info.bytes]})


def _ratio(part: float, whole: int) -> list[float]:
    """A share, or nothing where there is nothing to share: 0 would pretend that it was measured."""
    return [part / whole] if whole else []
