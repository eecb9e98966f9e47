"""bench: accuracy and offload share of several systems on the same problems. For the systems see measuring/systems."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..decoding.plugins import load_policies
from ..errors import UsageError
from ..models.sides import Side
from ..records.data import Author, BenchComparison, BenchResult, Generation
from ..split.policies import PolicyContext, make_policy
from ..store.artifacts import Store
from .comparison import compare
from .runner import BenchConfig, Runner, StoredGenerations, SystemRun, Watcher
from .systems.base import System
from .systems.named import HINT, SYSTEMS, written
from .systems.random import RandomShareSystem
from .systems.split import SplitSystem
from .where import Backends

__all__ = [
    "BenchConfig",
    "Lineup",
    "RandomShareSystem",
    "SplitSystem",
    "StoredGenerations",
    "System",
    "SystemRun",
    "Watcher",
    "bench",
    "comparisons",
]


@dataclass(frozen=True)
class Lineup:
    """The systems that are measured on the same problems.

    Args:
        systems: their names, those of `measuring.systems.named` or policies written in full.
        budgets: caps on big tokens / all tokens, 0..1 or None; `split` and what copies it run once for each.
        policy: that of `split`.
        chance: the system `random`, if it is not to copy each `split`.
    """

    systems: Sequence[str]
    budgets: Sequence[float | None] = (None,)
    policy: str = "learned"
    chance: System | None = None

    def settings(self) -> dict[str, Any]:
        """What tells one run of several systems from another."""
        return {**vars(self), "chance": self.chance and self.chance.settings()}


@dataclass(frozen=True)
class _Measured:
    """A run of split, as systems see it that copy it (`systems.base.SplitRun`)."""

    run: SystemRun
    runner: Runner

    @property
    def result(self) -> BenchResult:
        return self.run.result

    @property
    def generations(self) -> Iterable[Generation]:
        return StoredGenerations(self.run.artifact)

    def entropies(self) -> Sequence[float]:
        return self.runner.entropies()


def bench(
    config: BenchConfig,
    lineup: Lineup,
    store: Store,
    *,
    backends: Backends | None = None,
    watcher: Watcher | None = None,
) -> Iterator[SystemRun]:
    """Run the systems one after another, `split` and what copies it once for each budget.

    Args:
        backends: where the models run, if not both in this process.

    Raises:
        UsageError: an unknown task, system or policy, or a system that copies `split` without it.
        ModelError, EndpointError: the models do not load, or fail. For further errors see `read_task`.
    """
    budgets = lineup.budgets if SplitSystem.name in lineup.systems else ()
    splits = [SplitSystem(text=lineup.policy, offload_budget=budget) for budget in budgets]
    alone, copies = _alone(lineup), _copies(lineup)
    _check(config, lineup, [*alone, *splits], copies)
    asked = [one.authors for one in (*alone, *splits)] + [kind.authors for kind in copies]
    both: tuple[Author, Author] = ("small", "big")
    authors = [author for author in both if any(author in these for these in asked)]
    backends = backends or Backends(Side(config.small), Side(config.big), batch_size=config.batch_size)
    needs_tags = any(system.needs_tags for system in (*alone, *splits))
    with (
        Runner(config, store, backends, watcher or Watcher(), authors, needs_tags=needs_tags) as runner,
        store.run(runner.recipe_of_all(lineup.settings())),
    ):
        for system in alone:
            yield runner.run(system)
        for system in splits:
            split = runner.run(system)
            yield split
            for kind in copies:
                yield runner.run(kind.copy_of(_Measured(split, runner)))


def comparisons(runs: Sequence[SystemRun]) -> Iterator[tuple[BenchComparison, str]]:
    """Each split with every baseline: those without a budget, and those that copy it. For the texts see `compare`."""
    baselines = [run for run in runs if run.result.system != SplitSystem.name]
    for split in (run for run in runs if run.result.system == SplitSystem.name):
        budget = split.result.offload_budget
        for run in baselines:
            theirs = run.result.offload_budget
            if theirs in (None, budget) and not (budget is not None and run.system.copies and theirs != budget):
                task, names = split.result.task, ((SplitSystem.name, budget), (run.result.system, theirs))
                yield compare(task, split.verdicts, run.verdicts, *names)


def _copies(lineup: Lineup) -> list[type[System]]:
    """The systems that run once for each split, and copy it."""
    kinds = [SYSTEMS[name] for name in SYSTEMS if name in lineup.systems]
    return [kind for kind in kinds if kind.copies and not (lineup.chance and kind.name == lineup.chance.name)]


def _alone(lineup: Lineup) -> list[System]:
    """The systems that run once, whatever the budgets of split: those with a name, then those that are policies.

    Raises UsageError for an unknown one.
    """
    systems, chance = lineup.systems, lineup.chance
    policies = [written(name) for name in systems if name not in SYSTEMS]
    kinds = [SYSTEMS[name] for name in SYSTEMS if name in systems and name != SplitSystem.name]
    named = [kind() for kind in kinds if not kind.copies]
    return [*named, *([chance] if chance and chance.name in systems else []), *policies]


def _check(config: BenchConfig, lineup: Lineup, made: Sequence[System], copies: Sequence[type[System]]) -> None:
    if not lineup.systems:
        raise UsageError("no system to run", HINT)
    for name in lineup.systems:
        if name not in SYSTEMS:
            _require_policy(name, "", HINT)
    _require_policy(lineup.policy, "--policy: ", "")
    for kind in copies:
        if SplitSystem.name not in lineup.systems:
            raise UsageError(f"system {kind.name!r} copies the share of 'split'", kind.hint)
    for system in made:
        system.check(config.task)
    if config.samples > 1 and config.temperature == 0:
        raise UsageError("several greedy samples are the same sample", "Set --temperature, such as 0.6, or --samples 1")


def _require_policy(text: str, where: str, hint: str) -> None:
    """Raises UsageError for a policy that is none."""
    try:
        make_policy(text, load_policies(), PolicyContext())
    except ValueError as error:
        raise UsageError(f"{where}{error}".rstrip(".") if hint else f"{where}{error}", hint) from None
