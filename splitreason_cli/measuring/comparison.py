"""Two systems on the same problems: how they differ, and whether there are enough problems to tell."""

import math
from collections.abc import Mapping, Sequence

from ..records.data import BenchComparison, label
from .statistics import paired_difference

Verdicts = Mapping[str, Sequence[bool]]
"""Of each problem, by its id."""

Key = tuple[str, float | None]
"""A system and its budget."""


def compare(task: str, mine: Verdicts, theirs: Verdicts, system: Key, baseline: Key) -> tuple[BenchComparison, str]:
    """How `system` differs from `baseline` in pass@1 over the problems that both have a verdict for, and what is to be
    warned of, if anything."""
    found = paired_difference(mine, theirs)
    comparison = BenchComparison(
        task=task,
        system=system[0],
        offload_budget=system[1],
        baseline=baseline[0],
        baseline_budget=baseline[1],
        difference=found.difference,
        ci95=found.ci95,
        p_value=found.p_value,
        problems=found.problems,
    )
    return comparison, too_few_problems(comparison, found.smallest_detectable)


def too_few_problems(comparison: BenchComparison, smallest_detectable: float) -> str:
    """One line if a difference is too small for the number of problems; empty otherwise.

    `smallest_detectable` is what `measuring.statistics.smallest_detectable` says of the problems compared. How many
    would be needed supposes that more problems differ as much as these.
    """
    difference, problems = comparison.difference, comparison.problems
    if problems and abs(difference) >= smallest_detectable:
        return ""
    mine = label(comparison.system, comparison.offload_budget)
    theirs = label(comparison.baseline, comparison.baseline_budget)
    line = f"{mine} less {theirs}: {difference:+.3f}"
    if problems < 2:
        return f"{line}; {problems} problems show nothing"
    needed = (
        f", this takes about {math.ceil(problems * (smallest_detectable / difference) ** 2):,}" if difference else ""
    )
    return f"{line}; {problems:,} problems show {smallest_detectable:.3f}{needed}"
