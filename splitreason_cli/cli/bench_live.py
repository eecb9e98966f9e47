"""Runs of a benchmark, shown while they go on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.progress import Progress, TaskID

from ..measuring.tally import Tally, finder
from ..records.data import BenchResult, Generation, label
from ..store.artifacts import Store
from ..tasks.named import task_of
from . import console

if TYPE_CHECKING:
    from ..measuring.bench import Lineup, SystemRun
    from ..measuring.runner import BenchConfig
    from ..measuring.systems.base import System
    from ..measuring.where import Backends


class LiveRuns:
    """What is known so far: finished runs, and the samples of the one in progress.

    Attributes:
        runs: the finished ones.
    """

    def __init__(self, config: "BenchConfig", title: str = "bench") -> None:
        self.config, self.title = config, title
        self.runs: list[SystemRun] = []
        self._system: System | None = None
        self._counts, self._total = Tally(), 0
        self._task = TaskID(0)

    def run(
        self,
        lineup: "Lineup",
        store: Store,
        backends: "Backends | None" = None,
    ) -> None:
        """Run a benchmark with one progress line a system: running accuracy and share. Raises as `measuring.bench`."""
        from ..measuring import bench as stage

        with console.progress() as live:
            watcher = stage.Watcher(
                lambda system, total: self._start(live, system, total),
                lambda generations: self._add(live, generations),
                lambda ended: live.update(self._task, completed=self._counts.count + ended),
                lambda status: live.update(self._task, note=status),
            )
            runs = stage.bench(
                self.config,
                lineup,
                store,
                backends=backends,
                watcher=watcher,
            )
            for run in runs:
                self.runs.append(run)
                self._system = None
                note = self._counts.summary() + (", cached" if run.cached else "")
                live.update(self._task, completed=run.artifact.info.records, note=note)

    def partial(self) -> BenchResult | None:
        """What the run in progress has come to; None if no sample of it is finished."""
        if self._system is None or not self._counts.count:
            return None
        system, config = self._system, self.config
        return self._counts.result(
            system.name, system.offload_budget, system.policy_name, task=config.task, samples=config.samples
        )

    def partly(self) -> str:
        """How much of the run in progress is done; empty between runs."""
        return f"{self._counts.count:,} of {self._total:,}" if self._system else ""

    def _start(self, live: Progress, system: "System", total: int) -> None:
        extract = self.config.extract
        counts = Tally(finder(task_of(self.config.task), extract), extract)
        self._system, self._counts, self._total = system, counts, total
        self._task = live.add_task(f"{self.title} {label(system.name, system.offload_budget)}", total=total, note="")

    def _add(self, live: Progress, generations: Sequence[Generation]) -> None:
        counts = self._counts
        for generation in generations:
            counts.add(generation)
        if counts.count:
            live.update(self._task, completed=counts.count, note=counts.summary())


def run_bench(
    config: "BenchConfig",
    lineup: "Lineup",
    store: Store,
    title: str = "bench",
) -> "list[SystemRun]":
    """Run a benchmark to its end."""
    live = LiveRuns(config, title)
    live.run(lineup, store)
    return live.runs
