"""What the program that wrote a log made of its completions, and where that differs from our verdicts."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..records.data import Generation
from .log_columns import LABELS, TRUTHS

Labels = Sequence[float | None]


def label_in(row: Mapping[str, object], names: Iterable[str]) -> tuple[str, float | list[float]] | None:
    """The first of these columns that is a label, or a list of labels, with its name."""
    for name in names:
        value = row.get(name)
        if isinstance(value, list) and value:
            truths = [truth for one in value if (truth := _truth(one)) is not None]
            if len(truths) == len(value):
                return name, truths
        elif (truth := _truth(value)) is not None:
            return name, truth
    return None


def metric_in(metrics: Mapping[str, object]) -> tuple[str, float | list[float]] | None:
    """lighteval's metric to compare with: that of a completion or the mean over them, no majority and no best of k."""
    names = [name for name in metrics if not name.startswith(("maj@", "best@"))]
    names = [name for name in names if not name.startswith("pass@") or name.endswith(("=1", "@1"))]
    return label_in(metrics, [*(name for name in LABELS if name in names), *names])


def labels_of(value: float | Sequence[float] | None, completions: int, scored: int | None = None) -> list[float | None]:
    """The label of each completion of a row; None where nothing says.

    Args:
        value: one a completion, or one for all, which is then their mean.
        scored: how many of them, the first ones, it speaks of, if not of all.
    """
    scored = completions if scored is None else scored
    if value is None or scored > completions:
        return [None] * completions
    if isinstance(value, Sequence):
        return list(value) if len(value) == completions else [None] * completions
    # A score between 0 and 1 that is no mean of verdicts, such as a reward, says nothing of right and wrong.
    is_mean = math.isclose(value * scored, round(value * scored), abs_tol=1e-3 * scored)
    return [value if is_mean and at < scored else None for at in range(completions)]


def _truth(value: object) -> float | None:
    if isinstance(value, dict):
        # inspect_ai: {"scorer": {"value": "C"}}
        first = next(iter(value.values()), None)
        value = first.get("value") if isinstance(first, dict) else value.get("value")
    if isinstance(value, str):
        return TRUTHS.get(value.lower())
    if isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    return None


@dataclass(frozen=True)
class Disagreement:
    """The labels that a log has itself beside our verdicts, over the completions that have both.

    `theirs` and `ours` are means, `differ` counts where one says right and the other wrong, of those `unanswered` have
    no answer that we found.
    """

    completions: int
    theirs: float
    ours: float
    differ: int
    unanswered: int

    def describe(self, column: str) -> str:
        """One line; `column` is what the log calls its labels."""
        named = f"the log's own labels{f' ({column})' if column else ''}"
        if not self.differ and math.isclose(self.theirs, self.ours, abs_tol=1e-9):
            return f"{named} agree with the verdicts on all {self.completions:,} completions"
        said = f"{named} say {self.theirs:.3f}, the verdicts {self.ours:.3f}"
        if not self.differ:
            return said
        found = f", {self.unanswered:,} of which give no answer here" if self.unanswered else ""
        return f"{said}; they differ on {self.differ:,} of {self.completions:,} completions{found}"


def disagreement(
    generations: Iterable[Generation], answer_in: Callable[[str], str | None], label: str
) -> Disagreement | None:
    """How verdicts differ from the labels in the field `label`; None where nothing has both."""
    both = [(g, float(said)) for g in generations if isinstance(said := g.extra.get(label), int | float)]
    both = [(g, said) for g, said in both if g.correct is not None]
    if not both:
        return None
    differ = [g for g, said in both if said in (0.0, 1.0) and bool(said) is not g.correct]
    unanswered = sum(not answer_in("".join(segment.text for segment in g.segments)) for g in differ)
    return Disagreement(
        len(both),
        sum(said for _, said in both) / len(both),
        sum(bool(g.correct) for g, _ in both) / len(both),
        len(differ),
        unanswered,
    )
