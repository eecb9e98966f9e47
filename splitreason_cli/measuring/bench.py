"""bench: accuracy and offload share of several systems on the same problems. For the systems see measuring/systems."""

from collections.abc import Iterator, Sequence

from ..decoding.plugins import load_policies
from ..errors import UsageError
from ..models.sides import Side
from ..records.data import BenchComparison
from ..split.policies import PolicyContext, make_policy
from ..store.artifacts import Store
from .comparison import compare
from .runner import BenchConfig, Runner, StoredGenerations, SystemRun, Watcher
from .systems import COPIES, SYSTEMS, System, authors_of, explicit
from .where import Backends

__all__ = ["BenchConfig", "StoredGenerations", "System", "SystemRun", "Watcher", "bench", "comparisons"]


def bench(
    config: BenchConfig,
    systems: Sequence[str],
    budgets: Sequence[float | None],
    store: Store,
    *,
    chance: System | None = None,
    policy: str = "learned",
    backends: Backends | None = None,
    watcher: Watcher | None = None,
) -> Iterator[SystemRun]:
    """Run the systems one after another, `split` and what copies it once for each budget.

    Args:
        chance: the system `random`, if it is not to copy each `split`.
        policy: that of `split`.
        backends: where the models run, if not both in this process.

    Raises:
        UsageError: an unknown task, system or policy, or a system that copies `split` without it.
        ModelError, EndpointError: the models do not load, or fail. For further errors see `read_task`.
    """
    _check(config, systems, chance, policy)
    backends = backends or Backends(Side(config.small), Side(config.big), batch_size=config.batch_size)
    copies = [name for name in COPIES if name in systems and not (name == "random" and chance)]
    asked = {author for name in systems for author in authors_of(name)}
    authors = [author for author in ("small", "big") if author in asked]
    needs_tags = _tagged(systems, policy)
    with Runner(config, store, backends, watcher or Watcher(), authors, needs_tags=needs_tags) as runner:
        for name in ("small", "big", "oracle"):
            if name in systems:
                yield runner.run(System(name))
        if "random" in systems and chance:
            yield runner.run(chance)
        for name in systems:
            if name not in SYSTEMS:
                yield runner.run(System(name, policy=name))
        for budget in budgets if "split" in systems else ():
            split = runner.run(System("split", budget, policy=policy))
            yield split
            for name in copies:
                yield runner.run_copy(name, split)


def comparisons(runs: Sequence[SystemRun]) -> Iterator[tuple[BenchComparison, str]]:
    """Each split with every baseline: those without a budget, and those that copy it. For the texts see `compare`."""
    baselines = [run for run in runs if run.result.system != "split"]
    for split in (run for run in runs if run.result.system == "split"):
        budget = split.result.offload_budget
        for run in baselines:
            theirs = run.result.offload_budget
            if theirs in (None, budget) and not (budget is not None and _copies(run) and theirs != budget):
                task, names = split.result.task, (("split", budget), (run.result.system, theirs))
                yield compare(task, split.verdicts, run.verdicts, *names)


def _copies(run: SystemRun) -> bool:
    """Whether a run copies a split. Those have its budget, None if it has none."""
    return run.result.system in COPIES and not run.result.policy.startswith("random(")


def _check(config: BenchConfig, systems: Sequence[str], chance: System | None, policy: str) -> None:
    policies = load_policies()
    if not systems:
        raise UsageError("no system to run", f"Known systems: {', '.join(SYSTEMS)}")
    for name in systems:
        try:
            if name not in SYSTEMS and not explicit(name):
                raise ValueError(f"unknown system {name!r}")
            if name not in SYSTEMS:
                make_policy(name, policies, PolicyContext())
        except ValueError as error:
            hint = f"Known systems: {', '.join(SYSTEMS)}, relay(tokens, small tokens), entropy(nats, tokens)"
            raise UsageError(str(error).rstrip("."), hint) from None
    try:
        make_policy(policy, policies, PolicyContext())
    except ValueError as error:
        raise UsageError(f"--policy: {error}") from None
    for name in COPIES:
        if name in systems and "split" not in systems and not (name == "random" and chance):
            hint = "Add split to --systems, or set --random-share" if name == "random" else f"Write {name}(...)"
            raise UsageError(f"system {name!r} copies the share of 'split'", hint)
    if "oracle" in systems and config.task != "mini":
        raise UsageError("system 'oracle' knows task mini only", "Leave it out")
    if config.samples > 1 and config.temperature == 0:
        raise UsageError("several greedy samples are the same sample", "Set --temperature, such as 0.6, or --samples 1")


def _tagged(systems: Sequence[str], policy: str) -> bool:
    """Whether a system needs the small model to know the tags."""
    return "split" in systems and make_policy(policy, load_policies(), PolicyContext()).tagged
