"""Runs of a benchmark, shown while they go on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.progress import Progress, TaskID

from ..adapters.store import Store
from ..core.bench_systems import System, policy_name, summarize
from ..core.records import BenchResult, Generation, label
from . import console

if TYPE_CHECKING:
    from ..adapters.bench_backends import Backends
    from ..adapters.bench_run import BenchConfig
    from ..stages.bench import SystemRun


class LiveRuns:
    """What is known so far: finished runs, and the samples of the one in progress.

    Attributes:
        runs: the finished ones.
    """

    def __init__(self, config: "BenchConfig", title: str = "bench") -> None:
        self.config, self.title = config, title
        self.runs: list[SystemRun] = []
        self._system: System | None = None
        self._generations: list[Generation] = []
        self._total = 0
        self._right = self._graded = self._tokens = self._big_tokens = 0
        self._task = TaskID(0)

    def run(
        self,
        systems: Sequence[str],
        offload_budgets: Sequence[float | None],
        store: Store,
        chance: System | None = None,
        policy: str = "learned",
        backends: "Backends | None" = None,
    ) -> None:
        """Run a benchmark with one progress line a system: running accuracy and share. Raises as `stages.bench`."""
        from ..stages import bench as stage

        with console.progress() as live:
            watcher = stage.Watcher(
                lambda system, total: self._start(live, system, total),
                lambda generations: self._add(live, generations),
                lambda ended: live.update(self._task, completed=len(self._generations) + ended),
                lambda status: live.update(self._task, note=status),
            )
            for run in stage.bench(
                self.config, systems, offload_budgets, store, chance=chance, policy=policy, backends=backends,
                watcher=watcher,
            ):  # fmt: skip
                self.runs.append(run)
                self._system = None
                note = f"pass@1 {run.result.pass_at_1:.3f}, offload {run.result.offload_share:.1%}"
                note += ", cached" if run.cached else ""
                live.update(self._task, completed=run.artifact.info.records, note=note)

    def partial(self) -> BenchResult | None:
        """What the run in progress has come to; None if no sample of it is finished."""
        if self._system is None or not self._generations:
            return None
        return summarize(
            self._system, policy_name(self._system), self._generations, task=self.config.task,
            samples=self.config.samples,
        )  # fmt: skip

    def partly(self) -> str:
        """How much of the run in progress is done; empty between runs."""
        return f"{len(self._generations):,} of {self._total:,}" if self._system else ""

    def _start(self, live: Progress, system: System, total: int) -> None:
        self._system, self._generations, self._total = system, [], total
        self._right = self._graded = self._tokens = self._big_tokens = 0
        self._task = live.add_task(f"{self.title} {label(system.name, system.offload_budget)}", total=total, note="")

    def _add(self, live: Progress, generations: Sequence[Generation]) -> None:
        self._generations += generations
        for generation in generations:
            self._right += bool(generation.correct)
            self._graded += generation.correct is not None
            self._tokens += generation.tokens
            self._big_tokens += generation.big_tokens
        if self._generations:
            accuracy, share = self._right / max(1, self._graded), self._big_tokens / max(1, self._tokens)
            note = f"pass@1 {accuracy:.3f}, offload {share:.1%}"
            live.update(self._task, completed=len(self._generations), note=note)


def run_bench(
    config: "BenchConfig",
    systems: Sequence[str],
    offload_budgets: Sequence[float | None],
    store: Store,
    title: str = "bench",
) -> "list[SystemRun]":
    """Run a benchmark to its end."""
    live = LiveRuns(config, title)
    live.run(systems, offload_budgets, store)
    return live.runs
