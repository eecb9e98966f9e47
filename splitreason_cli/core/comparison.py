"""Two systems on the same problems: what their generations say, and whether there are enough of them."""

import math
from collections.abc import Sequence

from .grading import boxed_answer, normalized
from .records import BenchComparison, Generation, label
from .statistics import Vote, paired_difference


def verdicts(generations: Sequence[Generation]) -> dict[str, list[bool]]:
    """The verdicts of each problem; samples and problems without one are left out."""
    found: dict[str, list[bool]] = {}
    for generation in generations:
        if generation.correct is not None:
            found.setdefault(generation.id, []).append(generation.correct)
    return found


def votes(generations: Sequence[Generation]) -> list[list[Vote]]:
    """What each problem's samples answered, and with what verdict. All right answers count as one."""
    found: dict[str, list[Vote]] = {}
    for generation in generations:
        answer = boxed_answer("".join(segment.text for segment in generation.segments))
        said = generation.answer if generation.correct else answer
        found.setdefault(generation.id, []).append((normalized(said) if said else None, generation.correct))
    return list(found.values())


def compare(
    mine: Sequence[Generation],
    theirs: Sequence[Generation],
    task: str,
    offload_budget: float | None = None,
    baseline_budget: float | None = None,
) -> tuple[BenchComparison, str]:
    """How two systems differ in pass@1 over the problems that both have, and what is to be warned of, if anything.

    Args:
        mine, theirs: all generations of one system each, at least one.
        offload_budget, baseline_budget: the caps that `mine` and `theirs` ran under.
    """
    found = paired_difference(verdicts(mine), verdicts(theirs))
    comparison = BenchComparison(
        task=task, system=mine[0].system, offload_budget=offload_budget, baseline=theirs[0].system,
        baseline_budget=baseline_budget, difference=found.difference, ci95=found.ci95, p_value=found.p_value,
        problems=found.problems,
    )  # fmt: skip
    return comparison, too_few_problems(comparison, found.smallest_detectable)


def too_few_problems(comparison: BenchComparison, smallest_detectable: float) -> str:
    """One line if a difference is too small for the number of problems; empty otherwise.

    `smallest_detectable` is what `core.statistics.smallest_detectable` says of the problems compared. How many would be
    needed supposes that more problems differ as much as these.
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
