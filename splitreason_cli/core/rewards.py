"""What a rollout is worth: a right answer less the price of the big model's share."""

from collections.abc import Iterable
from dataclasses import dataclass

from .records import GrpoStep


def priced(correct: bool | None, share: float, price: float) -> float | None:
    """1 for a right answer less `price` times the offload share; None where the gold answer cannot be read."""
    return None if correct is None else float(correct) - price * share


@dataclass
class Price:
    """What offloading everything costs, in right answers, moved so that the mean share lands on `target`.

    A dual ascent on the constraint mean share <= target (as in Lagrangian RL, for example Tessler et al. 2019): after
    each batch the price rises by `rate` for every unit that the mean share exceeds the target, relative to it, and
    falls where it is below, never under 0.

    Args:
        target: mean offload share to land on, 0..1; None keeps the price as it is.
    """

    value: float = 1.0
    target: float | None = None
    rate: float = 0.1
    highest: float = 20.0

    def update(self, mean_share: float) -> float:
        """Take one batch's mean share; returns the new price."""
        if self.target is not None:
            step = self.rate * max(-1.0, min(1.0, mean_share / self.target - 1))
            self.value = max(0.0, min(self.highest, self.value + step))
        return self.value


def collapse(share: float, opens: int, closed: float) -> str:
    """The known way in which a policy has collapsed, judged by one batch; empty if it has not.

    Args:
        share: of the big model's tokens, 0..1. opens: spans that the policy began. closed: the share of them that it
            closed itself, 0..1.
    """
    if not opens:
        return "it never hands over"
    if share > 0.9:
        return "it hands everything over"
    if opens >= 8 and closed < 0.1:
        return "it hands over and never takes back"
    return ""


def first_warnings(steps: Iterable[GrpoStep]) -> dict[str, int]:
    """Each warning of a run, and the step that it first came at."""
    first: dict[str, int] = {}
    for step in steps:
        if step.warning:
            first.setdefault(step.warning, step.step)
    return first
