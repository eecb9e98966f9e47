"""train grpo: teach when to ask by TRL's GRPOTrainer, with the big model writing in every rollout."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from ..decoding.remote import RemoteConfig, RemoteModel, connect_remote
from ..decoding.writers import BigHere, BigServed, BigSide
from ..errors import InputError
from ..layouts.problems import read_problem
from ..layouts.reading import FirstLook, Reading, RowRead
from ..models.loading import LoadedModel, default_device, load_model, model_digest
from ..models.sides import Side
from ..records.data import GrpoStep, Problem
from ..store.artifacts import REJECTED, Artifact, Recipe, Store
from ..store.digests import code_of
from ..store.source import Quarantine, Source, raise_first_rejected, read_records
from ..tasks.grading import LIBRARIES as GRADING
from . import ranks
from .grpo_config import NO_SERVERS, Servers, TrainGrpoConfig
from .grpo_run import GrpoRun, GrpoWatcher, grpo_steps
from .model_card import grpo_measures
from .policy_engine import PolicyEngineConfig, checked_engine
from .rewards.named import reward_inputs
from .trainers import MODEL, computing_libraries, memory_advice, publish, save_model

STAGE = "train_grpo"


RECIPES = {
    "paper": TrainGrpoConfig(big="deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"),
    "mini": TrainGrpoConfig(
        max_steps=40,
        prompts=24,
        num_generations=8,
        per_device_batch_size=64,
        learning_rate=3e-4,
        temperature=1.0,
        max_tokens=200,
        max_span_tokens=32,
        save_steps=10,
    ),
}
"""`paper`: SplitReason, arXiv:2504.16379, with the big model in the rollouts. `mini`: the embedded pair, on a CPU."""

SAMPLE_STEPS = {"paper": 50, "mini": 10}
"""Every so many steps a recipe shows a rollout. It is no part of the configuration, as it changes no result."""


def train_grpo(
    source: Source,
    config: TrainGrpoConfig,
    store: Store,
    servers: Servers = NO_SERVERS,
    *,
    strict: bool = False,
    watcher: GrpoWatcher | None = None,
) -> tuple[Artifact, bool]:
    """Train on the problems of `source`; returns the artifact, whose `model` folder holds the checkpoint.

    Its `samples.jsonl` holds a rollout of each step, a generation whose `sample` is the step's number. Killed at any
    moment, the next call goes on from the last complete checkpoint with the same result. URLs count by the served name.

    Raises:
        ModelError: a model does not load, or the two do not fit together. InputError: there are too few problems.
        EndpointError: the big model's server or the engine's does not answer, or stops answering.
        UsageError: the processes cannot share a batch equally. MachineError: memory runs out, or vLLM is missing.
    """
    ranks.join(default_device())
    ranks.require_same(source.label, source.digest)
    engine = _checked(servers.engine, config)
    with _served(servers.big or Side(config.big), servers.remote) as served:
        config = replace(config, big=served.name if served else config.big)
        recipe = _recipe(source, config, served, engine)
        if found := ranks.from_main(lambda: store.find(recipe)):
            return found, True
        with ranks.work(store, recipe) as work:
            with ranks.together():
                quarantine = Quarantine(None if strict else work / REJECTED, writes=ranks.is_main())
                look = FirstLook(source.label, "problem", store.on_note if ranks.is_main() else lambda text: None)
                problems = _problems(source, config, quarantine, look)
                small, big = _models(config, served)
            run = GrpoRun(config, small, big, work, watcher or GrpoWatcher(), engine)
            steps = _train(run, problems, work / MODEL, store.on_note)
            return publish(store, recipe, work, "grpo", steps, grpo_measures(steps)), False


def _checked(engine: PolicyEngineConfig, config: TrainGrpoConfig) -> PolicyEngineConfig:
    return ranks.from_main(partial(checked_engine, engine)) if config.use_vllm else engine


@contextmanager
def _served(side: Side, remote: RemoteConfig) -> Iterator[RemoteModel | None]:
    """The big model at the URLs of `side`, connected on all ranks or on none; None where it is to run here."""
    with ExitStack() as stack:
        with ranks.together():
            served = stack.enter_context(connect_remote(side, remote)) if side.urls else None
        yield served


def _recipe(source: Source, config: TrainGrpoConfig, served: RemoteModel | None, engine: PolicyEngineConfig) -> Recipe:
    model = ranks.from_main(lambda: model_digest(config.model))
    big = served.digest if served else ranks.from_main(lambda: model_digest(config.big))
    code = code_of(__name__, (*computing_libraries(config.lora_rank), *GRADING)).beside(
        {"vllm": engine.version} if config.use_vllm else {}
    )
    inputs = {"in": source.digest, "model": model, "big": big, **reward_inputs(config.rewarded)}
    return Recipe(STAGE, asdict(config), inputs, code)


def _models(config: TrainGrpoConfig, served: RemoteModel | None) -> tuple[LoadedModel, BigSide]:
    """The small model, and who writes for the big one, which is asked for a first token where it is served."""
    big = BigServed(served.checked()) if served else BigHere(load_model(config.big, default_device()))
    # Steps of 1e-6 vanish in bfloat16 weights.
    return load_model(config.model, default_device(), float32=not config.lora_rank), big


def _train(run: GrpoRun, problems: list[Problem], folder: Path, on_note: Callable[[str], None]) -> list[GrpoStep]:
    """All steps of a run, whose model goes to `folder`."""
    config, trainer = run.config, run.trainer(problems)
    with memory_advice(config.per_device_batch_size, "--max-tokens", config.max_tokens), run.grader:
        trainer.train(resume_from_checkpoint=run.resume(on_note))
    save_model(trainer, run.small.tokenizer, folder)
    return grpo_steps(trainer.state.log_history, config)


def _problems(source: Source, config: TrainGrpoConfig, quarantine: Quarantine, look: FirstLook) -> list[Problem]:
    """The problems of any rows with a problem and an answer, such as traces. Raises InputError, RecordError."""
    positions, reading, least = itertools.count(1), Reading(config.columns), config.prompts

    def read(row: object) -> RowRead[Problem]:
        if isinstance(row, dict):
            # Of a record only problem and answer count, whatever its kind.
            row = {name: value for name, value in row.items() if name != "kind"}
        found = read_problem(row, next(positions), reading)
        return replace(found, value=replace(found.value, extra={}))

    problems = list(read_records(source, look.over(read), quarantine))
    look.finish()
    if not problems and quarantine.path:
        raise_first_rejected(quarantine.path)
    if len(problems) < least:
        held = f"{source.label}: holds {len(problems):,} problems, and a step takes {least:,}"
        raise InputError(held, "Give more problems, or lower --prompts")
    return problems
