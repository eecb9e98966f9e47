"""The baseline to beat: hand-overs at random places."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from ...records.data import Generation
from ...split.policies import Placed, Policy, Random
from .base import Sample, SplitRun, System

Plan = Mapping[tuple[int, str], tuple[tuple[int, ...], int]]
"""By sample and problem id: the lengths of the spans to scatter, and among how many small tokens."""


@dataclass(frozen=True)
class RandomCopySystem(System):
    """The spans of split's completion of the same sample, as many and as long, at random places.

    Args:
        plan: what is copied. digest: of the plan.
    """

    name = "random"
    copies: ClassVar[bool] = True
    hint: ClassVar[str] = "Add split to --systems, or set --random-share"
    policy_name = "placed"
    offload_budget: float | None = None
    plan: Plan = field(default_factory=dict, repr=False)
    digest: str = ""

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "plan": self.digest}

    def policy(self, sample: Sample) -> Policy:
        lengths, small_tokens = self.plan[sample.number, sample.problem]
        return Placed(scattered(lengths, small_tokens, random.Random(sample.seed)))

    @classmethod
    def copy_of(cls, split: SplitRun) -> Self:
        return cls(split.result.offload_budget, *plan_of(split.generations))


@dataclass(frozen=True)
class RandomShareSystem(System):
    """Spans of `span_tokens` tokens that reach a share 0..1, and copy nothing."""

    name = "random"
    share: float = 0.0
    span_tokens: int = 1

    @property
    def policy_name(self) -> str:
        return f"random({self.share:.4f}, {self.span_tokens})"

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "share": self.share, "span_tokens": self.span_tokens}

    def policy(self, sample: Sample) -> Policy:
        return Random(self.share, self.span_tokens, random.Random(sample.seed))


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
