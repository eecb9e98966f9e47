"""Hand-overs where the small model is uncertain, at a threshold that gives about the share that split had."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from ...records.data import BenchResult
from .base import SplitRun, WrittenSystem


@dataclass(frozen=True)
class EntropySystem(WrittenSystem):
    """Spans of split's mean length."""

    name: str = "entropy"
    text: str = "never"
    copies: ClassVar[bool] = True
    hint: ClassVar[str] = "Write entropy(...)"

    @classmethod
    def copy_of(cls, split: SplitRun) -> Self:
        return cls(text=matched_entropy(split.result, split.entropies()), offload_budget=split.result.offload_budget)


def entropy_threshold(entropies: Sequence[float], share: float, span_tokens: int) -> float:
    """The threshold at which `EntropySystem` reaches a share, if the small model stays as uncertain as it was.

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
    # Rounding may leave the entropy of a certain token below zero, where no policy begins.
    threshold = max(0.0, entropy_threshold(entropies, split.offload_share, span_tokens))
    return f"entropy({threshold!r},{span_tokens})"
