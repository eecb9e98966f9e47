"""When the small model hands over, and when it takes back.

A policy is asked once per position, in order, so its answers do not depend on how a driver groups tokens. One object
serves one request; `Random` carries that request's own random state.
"""

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

from ..budget import parse_share

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class CloseSignal:
    """What the small model, having read the first `offset` big tokens of a span, predicts next.

    `logprob` is the natural-log probability of the closing tag, `is_argmax` whether the tag is the likeliest token.
    """

    offset: int
    logprob: float
    is_argmax: bool


class Policy(Protocol):
    """`tagged` policies are run by the tags that the small model writes; the others never let it write one."""

    name: ClassVar[str]
    tagged: ClassVar[bool]

    def opens(self, completion: Sequence[int]) -> bool:
        """Whether to hand over after this completion, all of it in the small model's ids. Untagged policies only."""
        ...

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        """Whether to take back after these big tokens of the span. `signal` is given to tagged policies only."""
        ...


@runtime_checkable
class EntropyPolicy(Policy, Protocol):
    """An untagged policy that decides by how uncertain the small model is."""

    def opens_at(self, entropy: float) -> bool:
        """Whether to hand over in place of the small model's next token, whose distribution has so many nats."""
        ...


def asks_small(policy: Policy) -> bool:
    """Whether the small model is asked where it would close: by tagged policies, and by those that set `probes`."""
    return policy.tagged or bool(getattr(policy, "probes", False))


@dataclass
class Learned:
    """The small model opens by writing the tag and closes where its next token would be the closing one.

    `threshold` closes where the closing tag has at least that probability; None closes where it is the argmax.
    """

    name: ClassVar[str] = "learned"
    tagged: ClassVar[bool] = True
    threshold: float | None = None

    def opens(self, completion: Sequence[int]) -> bool:
        return False

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        if signal is None:
            return False
        return signal.is_argmax if self.threshold is None else signal.logprob >= math.log(self.threshold)


@dataclass
class Sampled:
    """As `Learned`, but closes with the probability that the closing tag has: what a policy does while it explores.

    Args:
        argmax: close where `Learned` would, and explore nothing.

    Attributes:
        decisions: after each big token, whether it closed, and the natural-log probability of the closing tag.
    """

    name: ClassVar[str] = "sampled"
    tagged: ClassVar[bool] = True
    rng: random.Random
    argmax: bool = False
    decisions: list[tuple[bool, float]] = field(init=False, default_factory=list)

    def opens(self, completion: Sequence[int]) -> bool:
        return False

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        if signal is None:
            return False
        closed = signal.is_argmax if self.argmax else self.rng.random() < math.exp(signal.logprob)
        self.decisions.append((closed, signal.logprob))
        return closed


@dataclass
class Never:
    """The small model alone."""

    name: ClassVar[str] = "never"
    tagged: ClassVar[bool] = False

    def opens(self, completion: Sequence[int]) -> bool:
        return False

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return False


@dataclass
class Always:
    """The big model from the first token on, as far as the budget goes."""

    name: ClassVar[str] = "always"
    tagged: ClassVar[bool] = False

    def opens(self, completion: Sequence[int]) -> bool:
        return True

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return False


@dataclass
class Random:
    """Hand-overs of `span_tokens` tokens at random places, so that the expected offload share is `share`.

    Each position opens with probability p, so on average (1 - p) / p small tokens precede a span, and
    share = span_tokens / (span_tokens + (1 - p) / p), which is solved for p.
    """

    name: ClassVar[str] = "random"
    tagged: ClassVar[bool] = False
    share: float
    span_tokens: int
    rng: random.Random = field(default_factory=random.Random)

    def opens(self, completion: Sequence[int]) -> bool:
        return self.rng.random() < self.share / (self.share + self.span_tokens * (1 - self.share))

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return len(span) >= self.span_tokens


@dataclass
class Placed:
    """Spans of given lengths at given places: the control of another policy's completion (see `bench_systems`).

    Where the completion ends before a place is reached, or within a span, the rest is not handed over.

    Args:
        spans: (tokens that the small model writes before the span, tokens of the span), by place.
    """

    name: ClassVar[str] = "placed"
    tagged: ClassVar[bool] = False
    spans: Sequence[tuple[int, int]]
    _opened: int = field(init=False, default=0)
    _written: int = field(init=False, default=-1)
    _comes_back: bool = field(init=False, default=False)

    def opens(self, completion: Sequence[int]) -> bool:
        # Right after a span the small model is asked again before it has written anything.
        self._written += not self._comes_back
        self._comes_back = False
        if self._opened >= len(self.spans) or self._written < self.spans[self._opened][0]:
            return False
        self._opened += 1
        return True

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        self._comes_back = True
        return len(span) >= self.spans[self._opened - 1][1]


@dataclass
class Relay:
    """The models take turns: `small_tokens` by the small one, then `span_tokens` by the big one.

    The first turn of the small model is `phase` tokens shorter.
    """

    name: ClassVar[str] = "relay"
    tagged: ClassVar[bool] = False
    span_tokens: int
    small_tokens: int
    phase: int = 0
    _turn: int = field(init=False)

    def __post_init__(self) -> None:
        self._turn = -self.phase

    def opens(self, completion: Sequence[int]) -> bool:
        if len(completion) - self._turn < self.small_tokens:
            return False
        self._turn = len(completion) + self.span_tokens
        return True

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return len(span) >= self.span_tokens


@dataclass
class Entropy:
    """The big model writes `span_tokens` tokens wherever the small one's next token has at least `threshold` nats.

    High entropy marks the forks of a chain of thought (Wang et al. 2025, "Beyond the 80/20 Rule").
    """

    name: ClassVar[str] = "entropy"
    tagged: ClassVar[bool] = False
    threshold: float
    span_tokens: int

    def opens(self, completion: Sequence[int]) -> bool:
        return False

    def opens_at(self, entropy: float) -> bool:
        return entropy >= self.threshold

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return len(span) >= self.span_tokens


@dataclass
class EntropyRecorder:
    """The small model alone; keeps the entropy of each of its next tokens, in nats, to calibrate `Entropy`."""

    name: ClassVar[str] = "never"
    tagged: ClassVar[bool] = False
    entropies: list[float] = field(init=False, default_factory=list)

    def opens(self, completion: Sequence[int]) -> bool:
        return False

    def opens_at(self, entropy: float) -> bool:
        self.entropies.append(entropy)
        return False

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return False


@dataclass
class Keyword:
    """Hands over for `span_tokens` tokens after one of `words`, such as "Wait", has been written by the small model."""

    name: ClassVar[str] = "keyword"
    tagged: ClassVar[bool] = False
    decode: Callable[[Sequence[int]], str]
    words: tuple[str, ...]
    span_tokens: int = 32
    tail_tokens: int = 16
    _seen: int = field(init=False, default=0)

    def opens(self, completion: Sequence[int]) -> bool:
        tail = self.decode(completion[max(self._seen, len(completion) - self.tail_tokens) :])
        if not any(re.search(rf"\b{re.escape(word)}\W*$", tail) for word in self.words):
            return False
        # What was written until here is not looked at again, or the same word would open the next span too.
        self._seen = len(completion)
        return True

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return len(span) >= self.span_tokens


@dataclass
class Pattern:
    """Hands over where the text so far satisfies `hands_over`, and takes back once the span's text matches `span`.

    With knowledge of the task this is the oracle that a learned policy is compared with. `decode` gives the text of the
    small model's ids, `decode_span` that of the big one's; None if they share a vocabulary.
    """

    name: ClassVar[str] = "pattern"
    tagged: ClassVar[bool] = False
    decode: Callable[[Sequence[int]], str]
    hands_over: Callable[[str], bool]
    span: re.Pattern[str]
    tail_tokens: int = 32
    decode_span: Callable[[Sequence[int]], str] | None = None

    def opens(self, completion: Sequence[int]) -> bool:
        return self.hands_over(self.decode(completion[-self.tail_tokens :]))

    def closes(self, span: Sequence[int], signal: CloseSignal | None) -> bool:
        return self.span.fullmatch((self.decode_span or self.decode)(span)) is not None


@dataclass(frozen=True)
class PolicyContext:
    """What a policy may need of the request that it serves: the small model's detokenizer, and a seed."""

    decode: Callable[[Sequence[int]], str]
    seed: int | None = None


Factory = Callable[[PolicyContext, tuple[str, ...]], Policy]
"""Makes the policy of one request from the arguments written behind its name. Raises ValueError."""


def _random(context: PolicyContext, arguments: tuple[str, ...]) -> Policy:
    share, span_tokens = _arguments(arguments, "share", "tokens", defaults=("32",))
    return Random(parse_share(share), _number(int, "tokens", span_tokens), random.Random(context.seed))


def _relay(context: PolicyContext, arguments: tuple[str, ...]) -> Policy:
    span_tokens, small_tokens = _arguments(arguments, "tokens", "small tokens", defaults=(arguments or ("",))[:1])
    return Relay(_number(int, "tokens", span_tokens), _number(int, "small tokens", small_tokens))


def _entropy(context: PolicyContext, arguments: tuple[str, ...]) -> Policy:
    threshold, span_tokens = _arguments(arguments, "threshold", "tokens", defaults=("32",))
    return Entropy(_number(float, "threshold", threshold), _number(int, "tokens", span_tokens))


def _learned(context: PolicyContext, arguments: tuple[str, ...]) -> Policy:
    (threshold,) = _arguments(arguments, "threshold", defaults=("argmax",))
    return Learned(None if threshold == "argmax" else _number(float, "threshold", threshold))


POLICIES: dict[str, Factory] = {
    "learned": _learned,
    "never": lambda context, arguments: Never(),
    "always": lambda context, arguments: Always(),
    "random": _random,
    "relay": _relay,
    "entropy": _entropy,
    "keyword": lambda context, arguments: Keyword(context.decode, arguments or ("Wait",)),
}
"""Policies by name. `learned`, `learned(0.3)`, `random(5%)`, `random(5%, 16)`, `relay(16)`, `relay(16, 64)`,
`entropy(1.5)`, `entropy(1.5, 16)`, `keyword(Wait, However)`, `never`, `always`."""


def make_policy(text: str, policies: Mapping[str, Factory], context: PolicyContext) -> Policy:
    """The policy that a text such as `relay(16)` describes. Raises ValueError with what is wrong."""
    name, arguments = parse_policy(text)
    if name not in policies:
        raise ValueError(f"unknown policy {name!r}. Known are {', '.join(policies)}")
    try:
        return policies[name](context, arguments)
    except ValueError as error:
        raise ValueError(f"policy {text!r}: {error}") from None


def parse_policy(text: str) -> tuple[str, tuple[str, ...]]:
    """The name and the arguments of a policy written as `name` or `name(argument, ...)`. Raises ValueError."""
    match = re.fullmatch(r"\s*([a-z_][a-z0-9_-]*)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if not match:
        raise ValueError(f"{text!r} is no policy. Write a name, with arguments in parentheses, such as relay(16)")
    arguments = tuple(part.strip() for part in (match.group(2) or "").split(","))
    return match.group(1), tuple(filter(None, arguments))


def _number(kind: type[Number], name: str, text: str) -> Number:
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} must be {what}, not {text!r}") from None


def _arguments(given: tuple[str, ...], *names: str, defaults: tuple[str, ...] = ()) -> tuple[str, ...]:
    required = len(names) - len(defaults)
    if not required <= len(given) <= len(names):
        raise ValueError(f"it takes {required} to {len(names)} arguments ({', '.join(names)}), got {len(given)}")
    return (*given, *defaults[len(given) - required :]) if len(given) < len(names) else given
