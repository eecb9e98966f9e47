"""The records of a measurement: who wrote what, what that came to, and how long it took."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .record import Record

Author = Literal["small", "big"]

UNKNOWN = "unknown"
"""The field of an imported generation that names what its log did not say, and where a 0 therefore means nothing."""

Extract = Literal["box", "last", "auto"]
r"""Where an answer is looked for: in `\boxed{}`; in what is said last; or in the box if there is one, else there."""


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
    `correct` is null where there is no verdict, and `ungraded_reason` says why. `offload_budget` is the cap that the
    system's run is named by, null without one. `hand_over_seconds` is the mean time from a hand-over to the big model's
    first token, null where it was not measured. `seconds` is how long it took, in a batch its share of that. Where
    several are in flight, `wall_seconds` is the time since the one before it was finished, which adds up to the run's.
    `extract` says how the graded answer was found.
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
    offload_budget: float | None = None
    hand_over_seconds: float | None = None
    wall_seconds: float | None = None
    extract: Extract = "box"


def unknown_in(generation: Generation) -> set[str]:
    """What the log of an imported generation did not say, see `UNKNOWN`; nothing of what srx made itself."""
    names = generation.extra.get(UNKNOWN)
    return set(map(str, names)) if isinstance(names, list) else set()


@dataclass(frozen=True, kw_only=True)
class BenchResult(Record):
    """One system's line of a benchmark.

    `pass_at_1` is the mean over problems of the share of right samples, `ci95` its problem-clustered bootstrap
    interval. `maj_at_k` is the share of problems that the majority of all samples answers right, null for one sample.
    `offload_share` = big_tokens / tokens over the whole run. `seconds` is wall time. Of all `completions`, `truncated`
    reached the token limit, `unclosed` ended inside a span, `unanswered` give no answer where `extract` looks for one,
    which is wrong, and `ungraded` have no verdict. `hand_over_seconds` is the mean over spans, null where it was not
    measured. What an imported log does not say is null too, what nobody counted, and the accuracy where nothing has a
    verdict. `artifact` is the key of the generations in the store.
    """

    kind: ClassVar[str] = "bench_result"
    system: str
    policy: str
    offload_budget: float | None
    task: str
    problems: int
    samples: int
    pass_at_1: float | None
    ci95: tuple[float, float] | None
    offload_share: float | None
    tokens: int | None
    big_tokens: int | None
    seconds: float | None
    maj_at_k: float | None = None
    spans: int | None = 0
    truncated: int | None = 0
    unclosed: int | None = 0
    ungraded: int = 0
    completions: int | None = None
    unanswered: int | None = None
    hand_over_seconds: float | None = None
    artifact: str = ""
    extract: Extract = "box"

    @property
    def small_tokens(self) -> int | None:
        """The tokens that the small model wrote."""
        return None if self.tokens is None or self.big_tokens is None else self.tokens - self.big_tokens


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
    """How long the completions of one system would take in one mode, one after the other (see split/latency.py).

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
    `predicted_seconds` is what `split.latency` says of the pipelined mode. All three are null where they mean nothing.
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


def label(system: str, offload_budget: float | None) -> str:
    """A system with its cap, as tables and plots call it."""
    return system if offload_budget is None else f"{system} ≤{100 * offload_budget:g}%"
