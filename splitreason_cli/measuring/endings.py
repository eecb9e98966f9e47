"""What the figures of a run do not tell by themselves: completions that gave no answer, or were cut off."""

from collections.abc import Iterator

from ..records.data import BenchResult, label

NOTABLE = 0.05
"""The share of completions from which on it is said."""

_SOUGHT = {"box": "have no answer in a box", "last": "say no answer", "auto": "have no box and say no answer"}


def endings(result: BenchResult) -> Iterator[str]:
    """A line for what more than 5 % of a system's completions lack, with its remedy."""
    name, of = label(result.system, result.offload_budget), result.completions
    if not of:
        return
    if result.unanswered is not None and result.unanswered > NOTABLE * of:
        remedy = "; --extract auto takes what such a completion says last" if result.extract == "box" else ""
        yield f"{name}: {_counted(result.unanswered, of)} {_SOUGHT[result.extract]}, which is graded wrong{remedy}"
    if result.truncated is not None and result.truncated > NOTABLE * of:
        remedy = "a higher --max-tokens, here or in the program that made them, lets them end"
        yield f"{name}: {_counted(result.truncated, of)} were cut at the token limit; {remedy}"


def _counted(some: int, of: int) -> str:
    return f"{some:,} of {of:,} completions ({some / of:.1%})"
