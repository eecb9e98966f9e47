"""What `srx train grpo` reaches on the task `mini`, seed by seed, and how fast its rollouts are.

    python tests/benchmarks/grpo.py --out grpo-benchmark [--seeds 3] [--parts noisy,weak,budgets,solo,speed]
    python tests/benchmarks/grpo.py --smallest

noisy    from SFT on labels of which 40 % are dropped and 10 % wrong ones added
weak     from SFT at half the learning rate, stopped after 60 steps, which asks too much and takes back too late; and
         the same with closing by argmax, masked from the loss, in place of closing as a trained decision
budgets  2, 5 and 8 % on problems of 3 to 5 hard operations, against random hand-overs of the same share and against
         SFT with the budget as a cap while it answers
solo     the paper's rollouts and rewards against ours, from the noisy SFT, as many rollouts of as many steps
speed    rollout tokens a second of the lockstep decoder, of one that reads the prefix again at each turn, and of a
         loop that does so one rollout after another

Every pass@1 is of problems that no training saw, spans closed where the tag is the likeliest token; words are sampled
at temperature 1 as in mini's rollouts, at temperature 0.6 and top_p 0.95, or greedy. Intervals are 95 % bootstraps over
problems, with all seeds of each. `--smallest` goes through everything in seconds; its numbers mean nothing.
Finished parts are in the store: the same command goes on where it was stopped.
"""

import argparse
import dataclasses
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from splitreason_cli.annotating.annotate import AnnotateConfig, annotate
from splitreason_cli.cli.console import quiet_libraries
from splitreason_cli.dataset.build import build_sft
from splitreason_cli.dataset.sft import BuildSftConfig
from splitreason_cli.decoding.lockstep import LockstepDecoder
from splitreason_cli.decoding.rows import Request, Row
from splitreason_cli.measuring.bench import BenchConfig, Lineup, SystemRun, bench
from splitreason_cli.measuring.statistics import bootstrap_ci95, paired_difference, pass_at_1
from splitreason_cli.measuring.systems.base import System
from splitreason_cli.measuring.systems.random import RandomShareSystem
from splitreason_cli.measuring.systems.split import SplitSystem
from splitreason_cli.models.cached import CachedModel
from splitreason_cli.models.loading import load_model
from splitreason_cli.models.pair import Pair
from splitreason_cli.models.sampling import Sampling
from splitreason_cli.records.data import AnnotatedTrace, Author, HardSpan, Problem
from splitreason_cli.split.limits import Limits
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.embedded import MINI_PROBLEMS, MINI_TRACES
from splitreason_cli.store.jsonl import decode, encode, read_lines, write_atomically
from splitreason_cli.store.source import Source
from splitreason_cli.tasks.mini import sample_problem
from splitreason_cli.training.grpo import RECIPES as GRPO_RECIPES
from splitreason_cli.training.grpo import train_grpo
from splitreason_cli.training.rollouts import Rollout, RolloutDecoder
from splitreason_cli.training.sft import RECIPES as SFT_RECIPES
from splitreason_cli.training.sft import train_sft

PARTS = ("noisy", "weak", "budgets", "solo", "speed")
BUDGETS = (0.02, 0.05, 0.08)
AS_TRAINED, SAMPLED, GREEDY = {"temperature": 1.0}, {"temperature": 0.6, "top_p": 0.95}, {"temperature": 0.0}
WEAK_STEPS = 60
SPLIT = SplitSystem()
GRPO, SFT = GRPO_RECIPES["mini"], SFT_RECIPES["mini"]


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is trained and measured.

    Each seed trains `start` by SFT, at most `sft_steps` steps (0: its recipe's), then by GRPO, `steps` steps of
    `prompts` problems, and answers `problems` held-out problems. The speed is that of `rollouts` rollouts, `rounds`
    times.
    """

    seeds: int = 3
    problems: int = 500
    steps: int = GRPO.max_steps
    prompts: int = GRPO.prompts
    start: str = SFT.model
    sft_steps: int = 0
    rollouts: int = 64
    rounds: int = 3


SMALLEST = Size(seeds=1, problems=8, steps=2, prompts=1, start="mini-split", sft_steps=2, rollouts=4, rounds=1)
"""From a start that hands over already, as one that cannot shows nothing. Two steps, as the first has a rate of 0."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("grpo-benchmark"), help="folder of all files and the store")
    parser.add_argument("--seeds", type=int, default=Size.seeds)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--problems", type=int, default=Size.problems, help="held-out problems")
    parser.add_argument("--steps", type=int, default=Size.steps)
    parser.add_argument("--smallest", action="store_true", help="in place of all other sizes")
    arguments = parser.parse_args()
    quiet_libraries()
    size = SMALLEST if arguments.smallest else Size(arguments.seeds, arguments.problems, arguments.steps)
    run = Benchmark(arguments.out, size)
    for part in arguments.parts.split(","):
        getattr(run, part)()


Runs = Sequence[SystemRun]
"""Each seed's."""

Point = tuple[float, float, float, float]
"""Offload share, pass@1 and the ends of its interval."""


class Benchmark:
    """The parts of the benchmark, over one store."""

    def __init__(self, out: Path, size: Size) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.size, self.seeds = out, size, range(size.seeds)
        self.store = Store(out / "store")
        self.recipe = dataclasses.replace(GRPO, max_steps=size.steps, prompts=size.prompts)
        self.screen = Console(width=140)
        held_out = {decode(line, Problem.from_dict).problem for line in read_lines(MINI_PROBLEMS)}
        self.training = self._problems("training.jsonl", 4000, (1, 2, 3), 1, held_out)
        self.hard_test = self._problems("hard-test.jsonl", 500, (3, 4, 5), 2, set())
        tests = {decode(line, Problem.from_dict).problem for line in read_lines(self.hard_test)}
        self.hard_training = self._problems("hard-training.jsonl", 4000, (3, 4, 5), 3, tests)

    def noisy(self) -> None:
        table = self._table("noisy labels, then GRPO to a budget of 5 %")
        decodings = {"temperature 1": AS_TRAINED, "temperature .6, top_p .95": SAMPLED, "greedy": GREEDY}
        for name, decoding in decodings.items():
            sft = [self._evaluate(self._noisy_sft(seed), seed, decoding) for seed in self.seeds]
            trained = [
                self._evaluate(self._grpo(self._noisy_sft(seed), seed, offload_budget=0.05), seed, decoding)
                for seed in self.seeds
            ]
            self._row(table, f"SFT, {name}", sft)
            self._row(table, f"GRPO, {name}", trained, against=sft)
        self.screen.print(table)

    def weak(self) -> None:
        table = self._table("SFT at half the rate, stopped after 60 steps, then GRPO to a budget of 3.5 %")
        for name, decoding in {"temperature .6, top_p .95": SAMPLED, "greedy": GREEDY}.items():
            sft = [self._evaluate(self._weak_sft(seed), seed, decoding) for seed in self.seeds]
            self._row(table, f"SFT, {name}", sft)
            for closing in ("sampled", "argmax"):
                models = [
                    self._grpo(self._weak_sft(seed), seed, offload_budget=0.035, temperature=0.7, closing=closing)
                    for seed in self.seeds
                ]
                trained = [
                    self._evaluate(model, seed, decoding) for model, seed in zip(models, self.seeds, strict=True)
                ]
                self._row(table, f"GRPO, closing {closing}, {name}", trained, against=sft)
        self.screen.print(table)

    def budgets(self) -> None:
        table = self._table("3 to 5 hard operations a problem")
        points: dict[str, list[Point]] = {}
        for budget in BUDGETS:
            runs = self._at_budget(budget)
            for name, group in runs.items():
                self._row(table, f"{name}, {budget:.0%}", group, against=None if name == "GRPO" else runs["GRPO"])
                points.setdefault(name, []).append((float(np.mean([*map(_share, group)])), *_pass_at_1(group)))
        self.screen.print(table)
        self._plot(points)

    def _at_budget(self, budget: float) -> Mapping[str, Runs]:
        runs: dict[str, list[SystemRun]] = {"GRPO": [], "random": [], "SFT, capped": []}
        for seed in self.seeds:
            model = self._grpo("mini-split", seed, self.hard_training, offload_budget=budget, price_rate=0.05)
            trained = self._evaluate(model, seed, SAMPLED, self.hard_test)
            others = {
                "random": RandomShareSystem(_share(trained), 3),
                "SFT, capped": SplitSystem(offload_budget=budget),
            }
            runs["GRPO"].append(trained)
            for name, system in others.items():
                runs[name].append(self._evaluate("mini-split", seed, SAMPLED, self.hard_test, system))
        return runs

    def solo(self) -> None:
        table = self._table("rollouts with the big model, and the paper's without")
        split = [
            self._evaluate(self._grpo(self._noisy_sft(seed), seed, offload_budget=0.05), seed, SAMPLED)
            for seed in self.seeds
        ]
        solo = [
            self._evaluate(self._grpo(self._noisy_sft(seed), seed, rollout="solo"), seed, SAMPLED)
            for seed in self.seeds
        ]
        self._row(table, "split", split)
        self._row(table, "solo", solo, against=split)
        self.screen.print(table)

    def speed(self) -> None:
        count = self.size.rollouts
        problems = [decode(line, Problem.from_dict).problem for line in read_lines(self.training)][:count]
        pair = Pair.of(load_model("mini-split"), load_model("mini-big"), hint=True)
        table = Table("decoder", "tokens/s, median", "range", "big tokens a step", "tokens read", title="rollouts")
        for name, kind, together in (
            ("lockstep", LockstepDecoder, count),
            ("prefix read at each turn", _Rereading, count),
            ("the same, one rollout at a time", _Rereading, 1),
        ):
            rates, read, rollouts = [], 0, list[Rollout]()
            for number in range(self.size.rounds):
                started = time.perf_counter()
                rollouts, read = self._round(kind, pair, problems, together, number)
                rates.append(sum(one.tokens for one in rollouts) / (time.perf_counter() - started))
            speeds = f"{np.median(rates):,.0f}", f"{min(rates):,.0f} to {max(rates):,.0f}"
            table.add_row(name, *speeds, f"{sum(one.big_tokens for one in rollouts):,}", f"{read:,}")
        self.screen.print(table)

    def _round(
        self,
        kind: type[LockstepDecoder],
        pair: Pair,
        problems: Sequence[str],
        together: int,
        number: int,
    ) -> tuple[list[Rollout], int]:
        """Rollouts of all problems, so many `together`, and how many tokens the two models read for them."""
        rollouts, read = list[Rollout](), 0
        for first in range(0, len(problems), together):
            limits = Limits(self.recipe.max_tokens, self.recipe.max_span_tokens)
            decoder = kind(pair, limits, Sampling(1.0), explores=True)
            batch = problems[first : first + together]
            rollouts += RolloutDecoder(decoder).rollouts(batch, [f"{number}/{first + n}" for n in range(len(batch))])
            read += sum(decoder.forwarded_tokens.values())
        return rollouts, read

    def _problems(self, name: str, count: int, hard: Sequence[int], seed: int, without: set[str]) -> Path:
        rng, found = random.Random(seed), dict[str, Problem]()
        while len(found) < count:
            drawn = sample_problem(rng, hard)
            if drawn.text not in without:
                found[drawn.text] = Problem(id=f"{seed}-{len(found)}", problem=drawn.text, answer=str(drawn.answer))
        return self._written(name, found.values())

    def _written(self, name: str, records: Iterable[Any]) -> Path:
        write_atomically(self.out / name, map(encode, records))
        return self.out / name

    def _source(self, path: Path) -> Source:
        return Source.open(str(path), self.store)

    def _annotated(self) -> list[AnnotatedTrace]:
        artifact, _ = annotate(self._source(MINI_TRACES), AnnotateConfig(), self.store)
        return [decode(line, AnnotatedTrace.from_dict) for line in read_lines(artifact.records)]

    def _sft(self, traces: Path, seed: int, **changes: Any) -> str:
        examples, _ = build_sft(self._source(traces), BuildSftConfig(), self.store)
        config = dataclasses.replace(SFT, model=self.size.start, seed=seed, **changes)
        return str(train_sft(self._source(examples.records), config, self.store)[0].path / "model")

    def _noisy_sft(self, seed: int) -> str:
        traces = [noisy(trace, random.Random(f"{seed}/{trace.id}")) for trace in self._annotated()]
        return self._sft(self._written(f"noisy-{seed}.jsonl", traces), seed, max_steps=self.size.sft_steps)

    def _weak_sft(self, seed: int) -> str:
        steps, rate = min(WEAK_STEPS, self.size.sft_steps or WEAK_STEPS), SFT.learning_rate / 2
        traces = self._written("annotated.jsonl", self._annotated())
        return self._sft(traces, seed, max_steps=steps, learning_rate=rate)

    def _grpo(self, model: str, seed: int, problems: Path | None = None, **changes: Any) -> str:
        config = dataclasses.replace(self.recipe, model=model, seed=seed, **changes)
        started = time.perf_counter()
        artifact, cached = train_grpo(self._source(problems or self.training), config, self.store)
        if not cached:
            minutes = (time.perf_counter() - started) / 60
            self.screen.print(f"seed {seed} {changes}: {config.max_steps} steps in {minutes:.1f} min")
        return str(artifact.path / "model")

    def _evaluate(
        self,
        model: str,
        seed: int,
        decoding: Mapping[str, float],
        problems: Path | None = None,
        system: System = SPLIT,
    ) -> SystemRun:
        config = BenchConfig(
            task=str(problems or "mini"),
            small=model,
            problems=self.size.problems,
            max_tokens=self.recipe.max_tokens,
            max_span_tokens=self.recipe.max_span_tokens,
            seed=seed,
            **decoding,
        )
        chance = system if system.name == "random" else None
        lineup = Lineup([system.name], [system.offload_budget], chance=chance)
        (run,) = bench(config, lineup, self.store)
        return run

    def _table(self, title: str) -> Table:
        return Table("", "pass@1 [95 %]", "by seed", "share by seed", "spans", "difference [95 %]", title=title)

    def _row(self, table: Table, name: str, runs: Runs, against: Runs | None = None) -> None:
        value, low, high = _pass_at_1(runs)
        table.add_row(
            name,
            f"{value:.3f} [{low:.3f}, {high:.3f}]",
            " ".join(f"{run.result.pass_at_1:.3f}" for run in runs),
            " ".join(f"{_share(run):.2%}" for run in runs),
            " ".join(f"{(run.result.spans or 0) / run.result.problems:.2f}" for run in runs),
            _difference(runs, against) if against else "",
        )

    def _plot(self, points: Mapping[str, Sequence[Point]]) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for (name, line), marker in zip(points.items(), "osx", strict=True):
            share, value, low, high = np.array(line).T
            axes.errorbar(100 * share, value, yerr=(value - low, high - value), marker=marker, capsize=3, label=name)
        axes.set(xlabel="offload share, %", ylabel="pass@1", ylim=(0, 1))
        axes.legend()
        figure.savefig(self.out / "frontier.png", dpi=150)


class _Rereading(LockstepDecoder):
    """Keeps no cache beyond a turn, as loops around `generate` do: each turn and each probe reads its whole prefix."""

    def rows(self, requests: Sequence[Request], *others: Any) -> list[Row]:
        self._turns = ["small"] * len(requests)
        return super().rows(requests, *others)

    def _read_small(self, model: CachedModel, rows: list[Row]) -> None:
        for number, row in enumerate(rows):
            if row.probe or (row.floor and row.floor.author == "small" and self._turns[number] == "big"):
                _forget(model, number, row, "small")
            if row.floor and row.floor.author == "small":
                self._turns[number] = "small"
        super()._read_small(model, rows)

    def _write_big(self, writer: Any, rows: list[Row]) -> None:
        for number, row in enumerate(rows):
            if row.floor and row.floor.author == "big" and self._turns[number] == "small":
                _forget(writer.model, number, row, "big")
                self._turns[number] = "big"
        super()._write_big(writer, rows)


def _forget(model: CachedModel, number: int, row: Row, author: Author) -> None:
    model.read[number].clear()
    row.settled.pop(author, None)


def noisy(trace: AnnotatedTrace, rng: random.Random) -> AnnotatedTrace:
    """Each span dropped with probability .4; for each, with probability .1, another line marked."""
    marked = {(span.start, span.end) for span in trace.spans}
    lines, start = list[tuple[int, int]](), 0
    for line in trace.reasoning.splitlines(keepends=True):
        lines.append((start, start + len(line.rstrip("\n"))))
        start += len(line)
    kept = [(span.start, span.end) for span in trace.spans if rng.random() >= 0.4]
    others = [line for line in lines if line not in marked]
    wrong = rng.sample(others, sum(rng.random() < 0.1 for _ in trace.spans))
    spans = tuple(HardSpan(start=start, end=end, score=0.0) for start, end in sorted(kept + wrong))
    return dataclasses.replace(trace, spans=spans)


def _share(run: SystemRun) -> float:
    return run.result.offload_share or 0.0


def _verdicts(runs: Runs) -> dict[str, list[bool]]:
    """Of each problem, by all seeds."""
    verdicts: dict[str, list[bool]] = {}
    for run in runs:
        for problem, found in run.verdicts.items():
            verdicts.setdefault(problem, []).extend(found)
    return verdicts


def _pass_at_1(runs: Runs) -> tuple[float, float, float]:
    verdicts = list(_verdicts(runs).values())
    return (pass_at_1(verdicts), *bootstrap_ci95(verdicts))


def _difference(runs: Runs, others: Runs) -> str:
    found = paired_difference(_verdicts(runs), _verdicts(others))
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(found.difference, *found.ci95)


if __name__ == "__main__":
    main()
