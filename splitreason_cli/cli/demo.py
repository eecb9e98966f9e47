"""srx demo: the whole path on the embedded pair."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..records.data import Generation
from ..store.artifacts import Store
from ..store.embedded import MINI_TRACES
from ..store.jsonl import encode, write_atomically
from ..store.source import Source
from ..tasks.mini import training_problems
from . import console
from .bench_live import run_bench
from .bench_tables import results_table
from .options import lines_of, open_store, stepper
from .render import render
from .train import CURVES, deliver_grpo, deliver_model, run_grpo

if TYPE_CHECKING:
    from ..measuring.bench import SystemRun
    from ..training.grpo_config import TrainGrpoConfig

NOTE = (
    "Both models are tiny, and the gap between them comes from their training data: the small one was never taught "
    "the products of 8 of the task's 12 multipliers. The page shows that the mechanism works, not what it gains."
)

SYSTEMS = ["small", "big", "split", "random"]
BUDGETS: list[float | None] = [None, 0.05, 0.025, 0.01]

DECODING = "--samples 1 --temperature 0"
"""How the demo decodes, unlike `srx bench` by default, so that it takes minutes."""

GRPO = "split + GRPO"
"""What the results call the split of the model that `train grpo` made."""

GRPO_BUDGET = 0.05
GRPO_MODEL, GRPO_PROBLEMS = "model-grpo", "problems.jsonl"
TRAINING_PROBLEMS = 1000


def register(app: typer.Typer) -> None:
    app.command("demo", epilog="Example: srx demo --out srx-demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("srx-demo"),
    problems: Annotated[int, typer.Option(min=20, max=500, help="Held-out problems to measure on.")] = 500,
    full: Annotated[
        bool,
        typer.Option("--full", help="Train on by GRPO as well, and measure that: 15 minutes at most, on two cores."),
    ] = False,
) -> None:
    """See the whole path in minutes: annotate traces, train the small model to hand over, measure it.

    Runs on the embedded pair of tiny models, on a CPU. Nothing is canned: every number is computed here.
    """
    console.quiet_libraries()
    store = open_store()
    model = _train(out, store)
    runs = _bench(model, problems, store)
    if full:
        from ..training.grpo import RECIPES, SAMPLE_STEPS

        config = replace(RECIPES["mini"], model=str(model), offload_budget=GRPO_BUDGET)
        runs += learn_when_to_ask(config, out, problems, store, SAMPLE_STEPS["mini"])
    results = [run.result for run in runs]
    traces = _telling_traces(runs)
    _write(out, problems, runs, traces)
    screen = console.stdout()
    screen.print(results_table(results))
    for trace in traces:
        screen.print(render(trace))
    console.say(f"report: {out / 'report.html'}   plot: {out / 'pareto.png'}   records: {out / 'results.jsonl'}")
    if full:
        console.say(f"GRPO: {out / GRPO_MODEL}   curves: {out / GRPO_MODEL / CURVES}")


def _train(out: Path, store: Store) -> Path:
    """annotate | build-sft | train sft on the embedded traces; returns the checkpoint's folder."""
    from ..annotating.annotate import AnnotateConfig, AnnotateWatcher, annotate
    from ..dataset.build import build_sft
    from ..dataset.sft import BuildSftConfig
    from ..training.sft import RECIPES, train_sft

    source = Source.open(str(MINI_TRACES), store)
    with console.progress() as live:
        task = live.add_task("annotate", total=None, note="")
        watcher = AnnotateWatcher(on_progress=lambda at: live.update(task, completed=at.rows))
        annotated, _ = annotate(source, AnnotateConfig(), store, watcher=watcher)
        live.update(task, completed=annotated.info.records, total=annotated.info.records)
        task = live.add_task("build-sft", total=None, note="")
        examples, _ = build_sft(Source.open(str(annotated.records), store), BuildSftConfig(), store)
        live.update(task, completed=examples.info.records, total=examples.info.records)
        trained, _ = train_sft(
            Source.open(str(examples.records), store), RECIPES["mini"], store, on_step=stepper(live, "train sft")
        )
    write_atomically(out / "annotated.jsonl", lines_of(annotated.records))
    write_atomically(out / "sft.jsonl", lines_of(examples.records))
    deliver_model(trained, out / "model")
    return trained.path / "model"


def learn_when_to_ask(
    config: "TrainGrpoConfig", out: Path, problems: int, store: Store, sample_steps: int
) -> "list[SystemRun]":
    """train grpo on problems that are not held out; returns what its model's split reaches on `problems` that are.

    A rollout is shown every `sample_steps`.
    """
    from ..measuring.bench import BenchConfig, Lineup
    from ..tasks.tasks import read_task

    texts = {problem.problem for problem in read_task("mini", store).problems}
    write_atomically(out / GRPO_PROBLEMS, map(encode, training_problems(TRAINING_PROBLEMS, texts)))
    trained, _ = run_grpo(Source.open(str(out / GRPO_PROBLEMS), store), config, store, sample_steps)
    deliver_grpo(trained, out / GRPO_MODEL, config.offload_budget, sample_steps)
    bench_config = BenchConfig(small=str(trained.path / "model"), problems=problems)
    runs = run_bench(bench_config, Lineup(["split"], BUDGETS), store, title="bench after GRPO:")
    return [replace(run, result=replace(run.result, system=GRPO)) for run in runs]


def _bench(model: Path, problems: int, store: Store) -> "list[SystemRun]":
    from ..measuring.bench import BenchConfig, Lineup

    return run_bench(BenchConfig(small=str(model), problems=problems), Lineup(SYSTEMS, BUDGETS), store)


def _telling_traces(runs: "list[SystemRun]") -> list[Generation]:
    """Two problems the split solves with at least two spans and the small model alone does not."""
    from ..measuring.bench import StoredGenerations

    alone = {g.id: g.correct for g in StoredGenerations(runs[0].artifact)}
    split = next(run for run in runs if run.result.system == "split")
    solved = [g for g in StoredGenerations(split.artifact) if g.correct and g.spans]
    solved.sort(key=lambda g: (bool(alone[g.id]), g.spans < 2, g.tokens))
    return solved[:2]


def _write(out: Path, problems: int, runs: "list[SystemRun]", traces: list[Generation]) -> None:
    from ..measuring.bench import StoredGenerations
    from ..measuring.report.frontier import write_pareto
    from ..measuring.report.page import Report, write_report

    results = [run.result for run in runs]
    write_atomically(out / "results.jsonl", map(encode, results))
    generations = (
        replace(generation, system=run.result.system) for run in runs for generation in StoredGenerations(run.artifact)
    )
    write_atomically(out / "generations.jsonl", map(encode, generations))
    write_pareto(out / "pareto.png", results)
    budgets = ",".join("none" if budget is None else f"{budget:g}" for budget in BUDGETS)
    commands = [
        f"srx annotate --in {MINI_TRACES.name} | srx build-sft | srx train sft --recipe mini --out model",
        f"srx bench mini --small model --systems {','.join(SYSTEMS)} --offload-budget {budgets} --problems {problems} "
        f"{DECODING} --out results.jsonl",
    ]
    notes, curves = [NOTE], b""
    if any(result.system == GRPO for result in results):
        notes.append(
            f"{GRPO} is split after its small model was trained on by GRPO, to land on {GRPO_BUDGET:.0%} by itself."
        )
        curves = (out / GRPO_MODEL / CURVES).read_bytes()
        commands += [
            f"srx train grpo --recipe mini --model model --in {GRPO_PROBLEMS} --offload-budget {GRPO_BUDGET:g} "
            f"--out {GRPO_MODEL}",
            f"srx bench mini --small {GRPO_MODEL} --systems split --offload-budget {budgets} --problems {problems} "
            f"{DECODING}",
        ]
    title = "srx demo: a small model that learned where to ask a big one"
    groups = [(run.result, StoredGenerations(run.artifact)) for run in runs]
    report = Report(title, notes, groups, examples=traces, commands=commands, curves=curves)
    write_report(out / "report.html", report)
