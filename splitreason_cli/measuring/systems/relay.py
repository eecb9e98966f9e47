"""The models take turns, so that the big one gets the share that split had; the first turn begins anywhere."""

import random
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from ...records.data import BenchResult
from ...split.policies import Policy, Relay
from .base import Sample, SplitRun, WrittenSystem


@dataclass(frozen=True)
class RelaySystem(WrittenSystem):
    """Turns of split's mean span. What is written as `relay(16,64)` begins with a whole turn of the small model."""

    name: str = "relay"
    text: str = "never"
    copies: ClassVar[bool] = True
    hint: ClassVar[str] = "Write relay(...)"

    def policy(self, sample: Sample) -> Policy:
        policy = super().policy(sample)
        if not isinstance(policy, Relay):
            return policy
        # Many completions are shorter than a period: from its start they would give the big model too little.
        return replace(policy, phase=random.Random(sample.seed).randint(0, policy.small_tokens))

    @classmethod
    def copy_of(cls, split: SplitRun) -> Self:
        return cls(text=matched_relay(split.result), offload_budget=split.result.offload_budget)


def matched_relay(split: BenchResult) -> str:
    """The relay of split's mean span whose turns give its share, rounded to whole tokens."""
    if not split.spans or not split.big_tokens or not split.tokens:
        return "never"
    span_tokens = max(1, round(split.big_tokens / split.spans))
    small_tokens = round(span_tokens * (split.tokens - split.big_tokens) / split.big_tokens)
    return f"relay({span_tokens},{small_tokens})" if small_tokens else "always"
