"""One frozen dataclass for each kind of JSONL record. Those of data and training are here.

The records of a measurement are in `records.measurement`; `KINDS` names them all.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

from .measurement import (
    Author,
    BenchComparison,
    BenchResult,
    Extract,
    Generation,
    LatencyResult,
    Segment,
    Simulation,
    SimulationMode,
    TokensFrom,
    label,
)
from .record import SCHEMA, JsonObject, Record, SchemaError, json_object

__all__ = [
    "KINDS", "SCHEMA", "AnnotatedTrace", "ArtifactInfo", "Author", "BenchComparison", "BenchResult", "Code",
    "Extract", "Generation", "GrpoStep", "HardSpan", "JsonObject", "LatencyResult", "Message", "Problem", "Record",
    "Rejected", "SchemaError", "Segment", "SftConversation", "SftExample", "SftRecord", "Simulation", "SimulationMode",
    "Snippets", "TokensFrom", "Trace", "TrainStep", "Unplaced", "annotated", "json_object", "label", "read_any",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Problem(Record):
    """A question and its gold answer."""

    kind: ClassVar[str] = "problem"
    id: str
    problem: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class Trace(Record):
    """A solved problem. `reasoning` is what stands between `<think>` and `</think>`, without the tags of this tool.

    `response` is what the model wrote after `</think>`, empty if that is not known. `answer` is the gold answer.
    """

    kind: ClassVar[str] = "trace"
    id: str
    problem: str
    answer: str
    reasoning: str
    response: str = ""


@dataclass(frozen=True, kw_only=True)
class HardSpan:
    """Characters `[start, end)` of a trace's reasoning.

    `score` ranks a trace's spans, higher is harder: nats for surprisal, 1 down to 0 for the order of snippets.
    `similarity` tells how well a snippet fitted the text, 0..1; 1 where the annotator gave the place itself.
    """

    start: int
    end: int
    score: float
    similarity: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Unplaced:
    """A snippet that is not marked in its trace, or the rest of one that is marked in part, and why.

    It was not found, `similarity` of the best place (0..1) being too low; it was given more often than it occurs; it
    was one too many to be looked for; it would have marked more of the trace than was asked for; or it is no part of
    the reasoning but of the response, in which nothing is marked.
    """

    snippet: str
    similarity: float
    reason: Literal["not found", "repeated", "too many", "over the fraction", "in the response"] = "not found"


@dataclass(frozen=True, kw_only=True)
class AnnotatedTrace(Record):
    """A trace with its hard spans, sorted and disjoint, and the snippets that could not be placed."""

    kind: ClassVar[str] = "annotated_trace"
    id: str
    problem: str
    answer: str
    reasoning: str
    spans: tuple[HardSpan, ...]
    annotator: str
    response: str = ""
    unplaced: tuple[Unplaced, ...] = ()

    @property
    def missed(self) -> tuple[Unplaced, ...]:
        """The snippets that were to be marked in the reasoning and are not."""
        return tuple(one for one in self.unplaced if one.reason != "in the response")


@dataclass(frozen=True, kw_only=True)
class Snippets(Record):
    """The hard passages of the trace with this `id`, copied out of it, hardest first."""

    kind: ClassVar[str] = "snippets"
    id: str
    snippets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True, kw_only=True)
class SftExample(Record):
    """A prompt and the tagged completion that the small model is to learn.

    `reasoning_sha256` is the digest of the untagged reasoning in the completion, `tokens` the length of prompt and
    completion; null where nobody counted.
    """

    kind: ClassVar[str] = "sft_example"
    id: str
    split: Literal["train", "test"]
    prompt: tuple[Message, ...]
    completion: str
    reasoning_sha256: str | None = None
    tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class SftConversation(Record):
    """The same as `SftExample` in one list of messages, the assistant's turn with its `<think>` scaffold."""

    kind: ClassVar[str] = "sft_conversation"
    id: str
    split: Literal["train", "test"]
    messages: tuple[Message, ...]
    reasoning_sha256: str | None = None
    tokens: int | None = None


SftRecord = SftExample | SftConversation
"""A training record in either layout."""


@dataclass(frozen=True, kw_only=True)
class TrainStep(Record):
    """What a trainer logged at one optimizer step. `loss` is in nats per trained token."""

    kind: ClassVar[str] = "train_step"
    step: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class GrpoStep(Record):
    """What a run of GRPO logged at one optimizer step, as means over its rollouts.

    `accuracy` is the share of right answers, `share` that of big tokens in all, `spans` and `tokens` are counts a
    rollout, `span_tokens` is the mean length of spans, `closed` the share of spans that the small model itself closed,
    `unclosed` counts those a rollout that a limit or the end of text closed. `price` is what offloading everything cost
    in right answers, `price_paid` what the rollouts paid of it: `reward` is `accuracy` less that, or of solo
    rollouts `accuracy`, `format_bonus` and `tag_count` together. `warning` names a known collapse of the policy.
    `failed` counts rollouts that the big model failed, which nothing else here includes.
    """

    kind: ClassVar[str] = "grpo_step"
    step: int
    loss: float
    learning_rate: float
    reward: float
    accuracy: float
    share: float
    spans: float
    span_tokens: float
    closed: float
    price: float
    price_paid: float | None = None
    format_bonus: float | None = None
    tag_count: float | None = None
    unclosed: float | None = None
    tokens: float | None = None
    warning: str = ""
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class Rejected(Record):
    """A quarantined input line: where it stood, why it was refused, and the line itself (cut at 2,000 characters)."""

    kind: ClassVar[str] = "rejected"
    where: str
    reason: str
    line: str


@dataclass(frozen=True, kw_only=True)
class Code:
    """What computes a result: `sources` maps files of this package to digests, `libraries` names to versions.

    A version is null where the library is not installed.
    """

    sources: dict[str, str]
    libraries: dict[str, str | None]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits."""
        lines = sorted(f"{name}\0{value}\n" for part in (self.sources, self.libraries) for name, value in part.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]

    def beside(self, libraries: dict[str, str | None]) -> "Code":
        """This code with libraries that compute in another interpreter, whose versions go before those here."""
        return Code(sources=self.sources, libraries={**self.libraries, **libraries})


@dataclass(frozen=True, kw_only=True)
class ArtifactInfo(Record):
    """One artifact of the store. `key` is its content address, `created` an ISO 8601 UTC time.

    `code` is the digest of the `sources` and `libraries` that it was finished with; older artifacts lack these two.
    `begun` holds other codes that parts of it were made with before, oldest first.
    """

    kind: ClassVar[str] = "artifact"
    key: str
    stage: str
    created: str
    records: int
    bytes: int
    path: str
    config: JsonObject
    inputs: dict[str, str]
    code: str
    sources: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str | None] = field(default_factory=dict)
    begun: tuple[Code, ...] = ()


KINDS: dict[str, type[Record]] = {
    cls.kind: cls
    for cls in (
        Problem, Trace, Snippets, AnnotatedTrace, SftExample, SftConversation, Generation, BenchResult,
        BenchComparison, LatencyResult, Simulation, TrainStep, GrpoStep, Rejected, ArtifactInfo,
    )
}  # fmt: skip

R = TypeVar("R", bound=Record)


def annotated(
    trace: Trace, annotator: str, spans: Iterable[HardSpan], unplaced: Iterable[Unplaced] = ()
) -> AnnotatedTrace:
    """The trace with its spans."""
    return AnnotatedTrace(
        id=trace.id,
        problem=trace.problem,
        answer=trace.answer,
        reasoning=trace.reasoning,
        response=trace.response,
        spans=tuple(spans),
        unplaced=tuple(unplaced),
        annotator=annotator,
        extra=trace.extra,
    )


def read_any(value: object) -> Record:
    """Read a JSON object as the record its `kind` names. Raises SchemaError."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in KINDS:
        raise SchemaError(f"unknown record kind {kind!r}. Expected one of {', '.join(KINDS)}")
    return KINDS[kind].from_dict(value)
