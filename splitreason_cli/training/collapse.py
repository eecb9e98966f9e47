"""The known ways in which a policy collapses while it is trained."""

from collections.abc import Iterable

from ..records.data import GrpoStep


def collapse(share: float, opens: int, closed: float, target: float | None = None) -> str:
    """The known way in which a policy has collapsed, judged by one batch; empty if it has not.

    Args:
        share: of the big model's tokens, 0..1. opens: spans that the policy began. closed: the share of them that it
            closed itself, 0..1. target: the share that is to be reached, if one is.
    """
    if not opens:
        return "it never hands over"
    if target and share < target / 4:
        return "it hardly ever hands over, less than a quarter of the budget"
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
