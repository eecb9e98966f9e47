"""train grpo: teach when to ask by TRL's GRPOTrainer, with the big model writing in every rollout."""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..adapters.jsonl import encode
from ..adapters.models import LoadedModel, default_device, load_model, model_digest
from ..adapters.rollouts import Rollout, RolloutDecoder, decision_tags
from ..adapters.source import Quarantine, Source, read_records
from ..adapters.store import RECORDS, REJECTED, Artifact, Journal, Recipe, Store
from ..adapters.trainers import last_complete_checkpoint, shared_arguments, step_callback
from ..adapters.transformers import text_of
from ..core.controller import Limits
from ..core.grading import is_correct
from ..core.records import Generation, GrpoStep, Problem, Segment
from ..core.rewards import Price, collapse, first_warnings, priced
from ..errors import InputError

STAGE = "train_grpo"
MODEL = "model"
PRICE = "price.json"
SAMPLES = "samples.jsonl"


@dataclass(frozen=True)
class TrainGrpoConfig:
    """`prompts` problems an optimizer step, each sampled `num_generations` times; `per_device_batch_size` completions
    at a time in the backward pass.

    `offload_budget` is the mean share that the price of the big model's tokens is moved to; None keeps `price`, in
    right answers for offloading everything. `temperature` is that of rollouts, both models' and that of closing.
    """

    model: str = "mini-split"
    big: str = "mini-big"
    max_steps: int = 500
    prompts: int = 8
    num_generations: int = 14
    per_device_batch_size: int = 16
    learning_rate: float = 1e-6
    warmup: float = 0.1
    temperature: float = 0.7
    max_tokens: int = 4096
    max_span_tokens: int | None = None
    offload_budget: float | None = None
    price: float = 1.0
    price_rate: float = 0.1
    beta: float = 0.0
    hint: bool = True
    save_steps: int = 50
    seed: int = 0


RECIPES = {
    "paper": TrainGrpoConfig(big="deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"),
    "mini": TrainGrpoConfig(
        max_steps=60, prompts=8, num_generations=8, per_device_batch_size=64, learning_rate=3e-4, temperature=1.0,
        max_tokens=200, max_span_tokens=32, save_steps=20,
    ),
}  # fmt: skip
"""`paper`: SplitReason, arXiv:2504.16379, with the big model in the rollouts. `mini`: the embedded pair, on a CPU."""

SAMPLE_STEPS = {"paper": 50, "mini": 10}
"""Every so many steps a recipe shows a rollout. It is no part of the configuration, as it changes no result."""

OnStep = Callable[[int, int, float], None]


def train_grpo(
    source: Source,
    config: TrainGrpoConfig,
    store: Store,
    *,
    strict: bool = False,
    on_step: OnStep = lambda step, total, loss: None,
    on_warning: Callable[[str], None] = lambda text: None,
    on_sample: Callable[[Generation], None] = lambda sample: None,
) -> tuple[Artifact, bool]:
    """Train on the problems of `source`; returns the artifact, whose `model` folder holds the checkpoint.

    Its `samples.jsonl` holds a rollout of each step, a generation whose `sample` is the step's number. Killed at any
    moment, the next call goes on from the last complete checkpoint with the same result.

    Args:
        on_step: called after each optimizer step with its number, the number of all steps, and the loss.
        on_warning: called with each known collapse when it first comes.
        on_sample: called with a rollout of each step.

    Raises:
        ModelError: a model does not load, or the two do not fit together. InputError: there are no problems.
    """
    digests = {"in": source.digest, "model": model_digest(config.model), "big": model_digest(config.big)}
    recipe = Recipe(STAGE, asdict(config), digests)
    if found := store.find(recipe):
        return found, True
    with store.work(recipe) as work:
        quarantine = Quarantine(None if strict else work / REJECTED)
        problems = list(read_records(source, Problem.from_dict, quarantine, lambda problem: None))
        if not problems:
            raise InputError(f"{source.label}: holds no problem", "Give JSONL with the fields problem and answer")
        small, big = (load_model(name, default_device()) for name in (config.model, config.big))
        run = _Run(config, small, big, work, on_warning, on_sample)
        trainer = run.trainer(problems, on_step)
        trainer.train(resume_from_checkpoint=run.resume())
        trainer.model.save_pretrained(work / MODEL)
        small.tokenizer.save_pretrained(work / MODEL)
        steps = grpo_steps(trainer.state.log_history, config)
        journal = Journal(work / RECORDS)
        journal.restart(0)
        journal.append([encode(step) for step in steps])
        shutil.rmtree(work / "trainer")
        return store.publish(recipe, work, len(steps)), False


class _Run:
    """One training run: what its rollouts, rewards and checkpoints share."""

    def __init__(
        self, config: TrainGrpoConfig, small: LoadedModel, big: LoadedModel, work: Path,
        on_warning: Callable[[str], None], on_sample: Callable[[Generation], None],
    ) -> None:  # fmt: skip
        self.config, self.small, self.big = config, small, big
        self.folder, self.on_warning, self.on_sample = work / "trainer", on_warning, on_sample
        self.samples, self.seconds = Journal(work / SAMPLES), 0.0
        self.price = Price(config.price, config.offload_budget, config.price_rate)
        self.limits = Limits(config.max_tokens, config.max_span_tokens)

    def trainer(self, problems: Sequence[Problem], on_step: OnStep) -> Any:
        """TRL's trainer, its rollouts and rewards ours."""
        import datasets
        from transformers import PrinterCallback
        from trl import GRPOConfig

        from ..adapters.grpo import DecisionTrainer

        config, on_cpu = self.config, self.small.model.device.type == "cpu"
        if on_cpu:
            self.small.model.set_attn_implementation("eager")
        datasets.disable_progress_bars()
        rows = [{"prompt": one.problem, "answer": one.answer, "problem_id": one.id} for one in problems]
        completions = config.prompts * config.num_generations
        world = int(os.environ.get("WORLD_SIZE", "1"))
        arguments = GRPOConfig(
            **shared_arguments(
                self.folder, learning_rate=config.learning_rate, warmup=config.warmup, seed=config.seed,
                save_steps=config.save_steps, on_cpu=on_cpu,
            ),
            max_steps=config.max_steps,
            num_generations=config.num_generations,
            per_device_train_batch_size=config.per_device_batch_size,
            gradient_accumulation_steps=max(1, completions // (config.per_device_batch_size * world)),
            temperature=config.temperature,
            max_completion_length=config.max_tokens,
            beta=config.beta,
            # Dividing by a group's deviation blows up the price where all answers of a group are equally right.
            scale_rewards="none",
        )  # fmt: skip
        trainer = DecisionTrainer(
            *decision_tags(self.small),
            model=self.small.model,
            args=arguments,
            reward_funcs=self.reward,
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=self.small.tokenizer,
            rollout_func=self.rollout,
            callbacks=[step_callback(on_step), self._keep_price(), self._warn()],
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """TRL's `rollout_func`: what the pair writes, and which of it the policy decided."""
        from trl.models import unwrap_model_for_generation

        rank, step = trainer.accelerator.process_index, trainer.state.global_step
        seeds = [f"{self.config.seed}/{step}/{rank}/{number}" for number in range(len(prompts))]
        with unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model:
            was_training = model.training
            model.eval()
            policy = LoadedModel(self.small.name, model, self.small.tokenizer)
            decoder = RolloutDecoder(policy, self.big, self.limits, self.config.temperature, hint=self.config.hint)
            started = time.perf_counter()
            rollouts = decoder.rollouts(prompts, seeds)
            self.seconds = (time.perf_counter() - started) / len(prompts)
            model.train(was_training)
        return {
            "prompt_ids": [list(one.prompt_ids) for one in rollouts],
            "completion_ids": [list(one.completion_ids) for one in rollouts],
            # Without an engine of its own the rollout's log-probabilities are the trainer's.
            "logprobs": None,  # type: ignore[dict-item]
            "env_mask": [list(one.decided) for one in rollouts],
            "rollout": rollouts,
        }

    def reward(
        self, answer: list[str], rollout: list[Rollout], log_metric: Callable[[str, float], None], **columns: Any
    ) -> list[float | None]:
        """A right answer less the price of the share; None where the answer cannot be read."""
        verdicts = [is_correct(one.text, gold) for one, gold in zip(rollout, answer, strict=True)]
        shares = [one.share for one in rollout]
        rewards = [priced(right, share, self.price.value) for right, share in zip(verdicts, shares, strict=True)]
        known = [right for right in verdicts if right is not None]
        paid = [self.price.value * share for right, share in zip(verdicts, shares, strict=True) if right is not None]
        spans, closed = sum(one.spans for one in rollout), sum(one.closed_spans for one in rollout)
        big_tokens, tokens = sum(one.big_tokens for one in rollout), sum(one.tokens for one in rollout)
        mean_share = big_tokens / tokens if tokens else 0.0
        for name, value in {
            "accuracy": sum(known) / len(known) if known else 0.0,
            "share": mean_share,
            "spans": spans / len(rollout),
            "span_tokens": big_tokens / spans if spans else 0.0,
            "closed": closed / spans if spans else 0.0,
            "price": self.price.value,
            "price_paid": sum(paid) / len(known) if known else 0.0,
            "unclosed": (spans - closed) / len(rollout),
            "tokens": tokens / len(rollout),
        }.items():
            log_metric(f"offload/{name}", value)
        if columns["trainer_state"].is_world_process_zero:
            first = Problem(id=columns["problem_id"][0], problem=columns["prompts"][0], answer=answer[0])
            self._keep_sample(columns["trainer_state"].global_step + 1, first, rollout[0], verdicts[0])
        self.price.update(mean_share)
        return rewards

    def _keep_sample(self, step: int, problem: Problem, rollout: Rollout, correct: bool | None) -> None:
        sample = Generation(
            id=problem.id, system="split", sample=step, problem=problem.problem, answer=problem.answer,
            segments=tuple(
                Segment(author=author, token_ids=ids, text=text_of(self.small, ids)) for author, ids in rollout.segments
            ),
            finish_reason=rollout.finish_reason, correct=correct, tokens=rollout.tokens, big_tokens=rollout.big_tokens,
            spans=rollout.spans, refused=rollout.refused, cut=rollout.cut_spans, unclosed=int(rollout.ended_in_span),
            seconds=self.seconds,
        )  # fmt: skip
        self.samples.append([encode(sample)])
        self.on_sample(sample)

    def resume(self) -> str | None:
        """The last complete checkpoint; price and samples as they were there."""
        checkpoint = last_complete_checkpoint(self.folder)
        if checkpoint:
            self.price.value = json.loads((Path(checkpoint) / PRICE).read_bytes())["value"]
        # One sample a step.
        self.samples.restart(int(checkpoint.rpartition("-")[2]) if checkpoint else 0)
        return checkpoint

    def _keep_price(self) -> Any:
        from transformers import TrainerCallback

        run = self

        class KeepPrice(TrainerCallback):  # type: ignore[misc]
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                """Written before the checkpoint's last file, so that a complete checkpoint has it."""
                if state.global_step % args.save_steps == 0 or state.global_step == state.max_steps:
                    folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / PRICE).write_text(json.dumps({"value": run.price.value}))

        return KeepPrice()

    def _warn(self) -> Any:
        from transformers import TrainerCallback

        run = self

        class Warn(TrainerCallback):  # type: ignore[misc]
            def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
                """The history holds the steps before a crash as well, so that nothing is said twice."""
                if state.is_world_process_zero and "loss" in logs:
                    steps = grpo_steps(state.log_history, run.config)
                    if first_warnings(steps).get(steps[-1].warning) == steps[-1].step:
                        run.on_warning(f"step {steps[-1].step}: {steps[-1].warning}")

        return Warn()


def grpo_steps(history: list[dict[str, Any]], config: TrainGrpoConfig) -> list[GrpoStep]:
    """The logged steps of a trainer as records."""
    names = ("accuracy", "share", "spans", "span_tokens", "closed", "price", "price_paid", "unclosed", "tokens")
    steps = []
    for entry in history:
        if "loss" in entry:
            means = {name: entry[f"offload/{name}"] for name in names}
            opens = round(means["spans"] * config.prompts * config.num_generations)
            steps.append(
                GrpoStep(
                    step=entry["step"], loss=entry["loss"], learning_rate=entry["learning_rate"],
                    reward=entry["reward"], warning=collapse(means["share"], opens, means["closed"]), **means,
                )
            )  # fmt: skip
    return steps
