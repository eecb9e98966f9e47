"""The systems of a benchmark: what they are called, and how they hand over.

small      the small model alone
big        the big model alone
split      the small model hands over by a policy, by default where it writes the tag
random     the spans of the split's completion of the same sample, as many and as long, at random places
relay      the models take turns, so that the big one gets the share that split had; the first begins anywhere
entropy    hands over where the small model is uncertain, at a threshold that gives about that share
oracle     task mini only: hands over exactly the lines the small model was not taught
"""

import hashlib
import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..records.data import Author, BenchResult, Generation
from ..split.policies import parse_policy

SYSTEMS = ("small", "big", "split", "random", "relay", "entropy", "oracle")
COPIES = ("random", "relay", "entropy")
"""Systems that take their measure from a run of split."""

Plan = Mapping[tuple[int, str], tuple[tuple[int, ...], int]]
"""By sample and problem id: the lengths of the spans to scatter, and among how many small tokens."""


@dataclass(frozen=True)
class System:
    """One line of the table: a policy and the budget that names its run.

    `offload_budget` caps big tokens / all tokens over the run (None: no cap). One that `copies` a split is named by the
    budget of that, and has no cap of its own, which would make it a weaker baseline. `random_share` and
    `random_span_tokens` belong to a random that copies nothing. `policy` describes that of `split`, `relay` and
    `entropy`. `plan` is the digest of what `random` copies.
    """

    name: str
    offload_budget: float | None = None
    random_share: float = 0.0
    random_span_tokens: int = 1
    policy: str = "learned"
    copies: bool = False
    plan: str = ""

    @property
    def cap(self) -> float | None:
        """The cap on this run."""
        return None if self.copies else self.offload_budget


def authors_of(system: str) -> tuple[Author, ...]:
    """The models that a system of this name asks."""
    match system:
        case "small":
            return ("small",)
        case "big":
            return ("big",)
    return ("small", "big")


def policy_name(system: System) -> str:
    """How the results call the policy of a system."""
    match system.name:
        case "small":
            return "never"
        case "big":
            return "always"
        case "oracle":
            return "pattern"
        case "random" if system.copies:
            return "placed"
        case "random":
            return f"random({system.random_share:.4f}, {system.random_span_tokens})"
    return system.policy


def split_names(text: str) -> list[str]:
    """The names in a comma-separated list, whose arguments in parentheses may hold commas too."""
    return [name.strip() for name in re.split(r",(?![^()]*\))", text) if name.strip()]


def explicit(name: str) -> bool:
    """Whether a name is `relay(a, b)` or `entropy(x, n)` with arguments. Raises ValueError if it is nothing at all."""
    word, arguments = parse_policy(name)
    return word in ("relay", "entropy") and bool(arguments)


def plan_of(generations: Iterable[Generation]) -> tuple[Plan, str]:
    """What `random` copies of a split's generations, and its digest."""
    plan: dict[tuple[int, str], tuple[tuple[int, ...], int]] = {}
    for g in generations:
        lengths = tuple(len(segment.token_ids) for segment in g.segments if segment.author == "big")
        plan[g.sample, g.id] = (lengths, g.tokens - g.big_tokens)
    digest = hashlib.sha256(repr(sorted(plan.items())).encode("utf-8", "surrogatepass")).hexdigest()
    return plan, digest[:16]


def scattered(lengths: Sequence[int], small_tokens: int, rng: random.Random) -> list[tuple[int, int]]:
    """Spans of these lengths, in random order, at random places among so many small tokens, for `Placed`.

    Places differ, so that spans do not merge, unless there are fewer small tokens than spans.
    """
    room = range(max(1, small_tokens))
    places = rng.sample(room, len(lengths)) if len(lengths) <= len(room) else rng.choices(room, k=len(lengths))
    return list(zip(sorted(places), rng.sample(lengths, len(lengths)), strict=True))


def matched_relay(split: BenchResult) -> str:
    """The relay of split's mean span whose turns give its share, rounded to whole tokens."""
    if not split.spans or not split.big_tokens or not split.tokens:
        return "never"
    span_tokens = max(1, round(split.big_tokens / split.spans))
    small_tokens = round(span_tokens * (split.tokens - split.big_tokens) / split.big_tokens)
    return f"relay({span_tokens},{small_tokens})" if small_tokens else "always"


def entropy_threshold(entropies: Sequence[float], share: float, span_tokens: int) -> float:
    """The threshold at which `Entropy` reaches a share, if the small model stays as uncertain as it was.

    As with `Random`, a share p of its tokens must open a span: p = share / (share + span_tokens * (1 - share)). The
    threshold is the entropy that so many of `entropies` reach; infinite for none.
    """
    chance = share / (share + span_tokens * (1 - share)) if share > 0 else 0.0
    reached = round(chance * len(entropies))
    return sorted(entropies, reverse=True)[reached - 1] if reached else math.inf


def matched_entropy(split: BenchResult, entropies: Sequence[float]) -> str:
    """The entropy policy of split's mean span that would reach its share on these entropies of small tokens."""
    if not split.spans or not split.big_tokens or not split.offload_share:
        return "never"
    span_tokens = max(1, round(split.big_tokens / split.spans))
    return f"entropy({entropy_threshold(entropies, split.offload_share, span_tokens)!r},{span_tokens})"
