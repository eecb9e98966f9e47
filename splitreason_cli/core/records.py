"""One frozen dataclass for each kind of JSONL record.

A line is a JSON object with `kind`, `schema` and the fields of its class. Fields that a class does not know are kept
in `extra` and written back untouched, so a user's own columns travel through every stage.
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Self, TypeVar

import msgspec

SCHEMA = 1
"""Version of the record layouts, raised when a field changes its meaning."""

Author = Literal["small", "big"]


class SchemaError(ValueError):
    """A JSON value that is no record of the expected kind. The message says what is wrong and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of all records: `kind` names the class on the wire, `extra` holds the fields the class does not know."""

    kind: ClassVar[str]
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of this record: kind, schema, own fields, then the unknown ones."""
        own = {name: msgspec.to_builtins(getattr(self, name)) for name in _own_fields(type(self))}
        unknown = {name: value for name, value in self.extra.items() if name not in own}
        return {"kind": self.kind, "schema": SCHEMA, **own, **unknown}

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """Read a JSON object. A missing `kind` counts as this one. Raises SchemaError."""
        if not isinstance(value, dict):
            raise SchemaError(f"a record is a JSON object, got {type(value).__name__}")
        kind, schema = value.get("kind", cls.kind), value.get("schema", SCHEMA)
        if kind != cls.kind:
            raise SchemaError(f"expected a record of kind '{cls.kind}', got {kind!r}")
        if not isinstance(schema, int) or schema > SCHEMA:
            raise SchemaError(f"schema {schema!r} is newer than {SCHEMA}, the newest this srx reads; upgrade srx")
        own = _own_fields(cls)
        known = {name: value[name] for name in own if name in value}
        extra = {name: item for name, item in value.items() if name not in own and name not in ("kind", "schema")}
        try:
            return msgspec.convert({**known, "extra": extra}, cls)
        except msgspec.ValidationError as error:
            raise SchemaError(_explain(error)) from None


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
    """A snippet that was not found in its trace; `similarity` of the best place, 0..1, was too low."""

    snippet: str
    similarity: float


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


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Consecutive tokens of one author, in the token ids of that author's model. `text` is derived from them."""

    author: Author
    token_ids: tuple[int, ...]
    text: str


@dataclass(frozen=True, kw_only=True)
class Generation(Record):
    """One sampled completion of one system: who wrote what, and whether the answer is right.

    `tokens` counts the completion without hand-over tags and end-of-text, `big_tokens` the part the big model wrote.
    `refused` counts hand-overs the budget refused, `cut` spans that a limit or the budget ended; `unclosed` is 1 if the
    text ended inside a span.
    `correct` is null where there is no verdict, and `ungraded_reason` says why.
    """

    kind: ClassVar[str] = "generation"
    id: str
    system: str
    sample: int
    problem: str
    answer: str
    segments: tuple[Segment, ...]
    finish_reason: str
    correct: bool | None
    tokens: int
    big_tokens: int
    spans: int
    refused: int
    cut: int
    unclosed: int
    seconds: float
    ungraded_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class BenchResult(Record):
    """One system's line of a benchmark.

    `pass_at_1` is the mean over problems of the share of right samples, `ci95` its problem-clustered bootstrap
    interval. `maj_at_k` is the share of problems that the majority of all samples answers right, null for one sample.
    `offload_share` = big_tokens / tokens over the whole run. `seconds` is wall time. Of all completions, `truncated`
    reached the token limit, `unclosed` ended inside a span, and `ungraded` have no verdict.
    """

    kind: ClassVar[str] = "bench_result"
    system: str
    policy: str
    offload_budget: float | None
    task: str
    problems: int
    samples: int
    pass_at_1: float
    ci95: tuple[float, float]
    offload_share: float
    tokens: int
    big_tokens: int
    seconds: float
    maj_at_k: float | None = None
    spans: int = 0
    truncated: int = 0
    unclosed: int = 0
    ungraded: int = 0


@dataclass(frozen=True, kw_only=True)
class BenchComparison(Record):
    """Two systems on the same problems: `difference` in pass@1, `system` less `baseline`.

    `ci95` is its paired, problem-clustered bootstrap interval, `p_value` that of a two-sided sign-flip test over
    problems. `problems` counts those that both have a verdict for.
    """

    kind: ClassVar[str] = "bench_comparison"
    task: str
    system: str
    offload_budget: float | None
    baseline: str
    baseline_budget: float | None
    difference: float
    ci95: tuple[float, float]
    p_value: float
    problems: int


SimulationMode = Literal["small", "big", "serial_cold", "serial", "pipelined"]
TokensFrom = Literal["ids", "characters", "flags"]


@dataclass(frozen=True, kw_only=True)
class Simulation(Record):
    """How long the completions of one system would take in one mode, one after the other (see core/latency.py).

    `system` is empty where no system is known. Tokens and spans are sums over `generations` completions as the pair
    wrote them, whatever the mode. `tokens_from` says what was counted: token `ids`, `characters` at a ratio, or nothing
    but the command's `flags`. `seconds` is the sum of the five parts after it. `relative_to_small` and
    `speedup_over_big` compare with one model that writes as many tokens. `measured_seconds` is how long the completions
    really took, null where one is not known; it does not depend on the mode. `small_rates` and `big_rates` are
    prefilled and decoded tokens a second.
    """

    kind: ClassVar[str] = "simulation"
    system: str
    mode: SimulationMode
    generations: int
    prompt_tokens: int
    tokens: int
    big_tokens: int
    spans: int
    tokens_from: TokensFrom
    seconds: float
    small_decode_seconds: float
    big_decode_seconds: float
    prefill_seconds: float
    hand_over_seconds: float
    control_seconds: float
    relative_to_small: float
    speedup_over_big: float
    measured_seconds: float | None
    small_rates: tuple[float, float]
    big_rates: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class LatencyResult(Record):
    """One mode of a latency benchmark: medians over `rounds` runs.

    `seconds` is the wall time of a completion of `tokens` tokens, `seconds_range` its smallest and largest value.
    `times_small` is that over the small model's alone in the same round. `overhead_seconds` is a split completion's
    time less what each model alone, in the same round, would have taken for its tokens.
    `predicted_seconds` is what `core.latency` says of the pipelined mode. All three are null where they mean nothing.
    `hand_over_seconds` is the time from a hand-over to the big model's first token, null without any.
    `control_tokens` are small tokens decoded to look for the closing tag in a completion, `overrun_tokens` big tokens
    thrown away in a span. `prefix_tokens` precede the one token of the modes `cold` and `warm`.
    """

    kind: ClassVar[str] = "latency"
    mode: str
    tokens: int
    big_tokens: int
    spans: int
    prefix_tokens: int
    rounds: int
    seconds: float
    seconds_range: tuple[float, float]
    times_small: float | None = None
    times_small_range: tuple[float, float] | None = None
    overhead_seconds: float | None = None
    overhead_seconds_range: tuple[float, float] | None = None
    predicted_seconds: float | None = None
    hand_over_seconds: float | None
    control_tokens: float
    overrun_tokens: float


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
class ArtifactInfo(Record):
    """One artifact of the store. `key` is its content address, `created` an ISO 8601 UTC time."""

    kind: ClassVar[str] = "artifact"
    key: str
    stage: str
    created: str
    records: int
    bytes: int
    path: str
    config: dict[str, Any]
    inputs: dict[str, str]
    code: str


KINDS: dict[str, type[Record]] = {
    cls.kind: cls
    for cls in (
        Problem, Trace, Snippets, AnnotatedTrace, SftExample, SftConversation, Generation, BenchResult,
        BenchComparison, LatencyResult, Simulation, TrainStep, GrpoStep, Rejected, ArtifactInfo,
    )
}  # fmt: skip

R = TypeVar("R", bound=Record)


def read_any(value: Any) -> Record:
    """Read a JSON object as the record its `kind` names. Raises SchemaError."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in KINDS:
        raise SchemaError(f"unknown record kind {kind!r}. Expected one of {', '.join(KINDS)}")
    return KINDS[kind].from_dict(value)


def label(system: str, offload_budget: float | None) -> str:
    """A system with its cap, as tables and plots call it."""
    return system if offload_budget is None else f"{system} ≤{100 * offload_budget:g}%"


def _own_fields(cls: type[Record]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls) if f.name != "extra")


def _explain(error: msgspec.ValidationError) -> str:
    """Turn "Expected `str`, got `int` - at `$.problem`" into a sentence that names the field first."""
    what, _, path = str(error).partition(" - at `$")
    path = path.removesuffix("`").lstrip(".")
    if what.startswith("Object missing required field `"):
        inner = f" of '{path}'" if path else ""
        return f"field '{what.split('`')[1]}'{inner} is missing"
    return f"field '{path}': {what[0].lower()}{what[1:].replace('`', '')}" if path else what
