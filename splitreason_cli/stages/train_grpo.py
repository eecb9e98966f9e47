"""train grpo: teach when to ask by TRL's GRPOTrainer, with the big model writing in every rollout."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..adapters import ranks
from ..adapters.jsonl import encode
from ..adapters.models import LoadedModel, default_device, load_model, model_digest
from ..adapters.rollouts import Rollout, RolloutDecoder, decision_tags
from ..adapters.sharded import WholePolicy
from ..adapters.source import Quarantine, Source, read_records
from ..adapters.store import RECORDS, REJECTED, Artifact, Journal, Recipe, Store
from ..adapters.trainers import last_complete_checkpoint, mark_callback, save_model, shared_arguments, step_callback
from ..core.controller import Limits
from ..core.grading import is_correct
from ..core.records import GrpoStep, Problem
from ..core.rewards import Price, collapse, priced
from ..errors import InputError

STAGE = "train_grpo"
MODEL = "model"
PRICE = "price.json"


@dataclass(frozen=True)
class TrainGrpoConfig:
    """`prompts` problems an optimizer step, each sampled `num_generations` times; at most `per_device_batch_size`
    completions at a time in the backward pass of each device.

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

OnStep = Callable[[int, int, float], None]


def train_grpo(
    source: Source,
    config: TrainGrpoConfig,
    store: Store,
    *,
    strict: bool = False,
    on_step: OnStep = lambda step, total, loss: None,
    on_warning: Callable[[str], None] = lambda text: None,
) -> tuple[Artifact, bool]:
    """Train on the problems of `source`; returns the artifact, whose `model` folder holds the checkpoint.

    Killed at any moment, the next call goes on from the last complete checkpoint with the same result.

    Raises:
        ModelError: a model does not load, or the two do not fit together. InputError: there are no problems.
        UsageError: the processes cannot share a batch equally.
    """
    ranks.join(default_device())
    ranks.require_same(source.label, source.digest)
    models = {"model": config.model, "big": config.big}
    digests = ranks.from_main(lambda: {role: model_digest(name) for role, name in models.items()})
    recipe = Recipe(STAGE, asdict(config), {"in": source.digest, **digests})
    if found := ranks.from_main(lambda: store.find(recipe)):
        return found, True
    with ranks.work(store, recipe) as work:
        with ranks.together():
            problems = _problems(source, Quarantine(None if strict else work / REJECTED, writes=ranks.is_main()))
            small, big = (load_model(name, default_device()) for name in (config.model, config.big))
        run = _Run(config, small, big, work, on_warning)
        trainer = run.trainer(problems, on_step)
        trainer.train(resume_from_checkpoint=run.resume())
        save_model(trainer, small.tokenizer, work / MODEL)
        steps = grpo_steps(trainer.state.log_history)
        return ranks.from_main(lambda: _publish(store, recipe, work, steps)), False


def _problems(source: Source, quarantine: Quarantine) -> list[Problem]:
    problems = list(read_records(source, Problem.from_dict, quarantine, lambda problem: None))
    if not problems:
        raise InputError(f"{source.label}: holds no problem", "Give JSONL with the fields problem and answer")
    return problems


def _publish(store: Store, recipe: Recipe, work: Path, steps: list[GrpoStep]) -> Artifact:
    journal = Journal(work / RECORDS)
    journal.restart(0)
    journal.append([encode(step) for step in steps])
    shutil.rmtree(work / "trainer")
    return store.publish(recipe, work, len(steps))


class _Run:
    """One training run: what its rollouts, rewards and checkpoints share."""

    def __init__(
        self, config: TrainGrpoConfig, small: LoadedModel, big: LoadedModel, work: Path,
        on_warning: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.config, self.small, self.big = config, small, big
        self.folder, self.on_warning = work / "trainer", on_warning
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
        rows = [{"prompt": problem.problem, "answer": problem.answer} for problem in problems]
        per_device, accumulation = ranks.share_batch(
            config.prompts * config.num_generations, config.per_device_batch_size, "--prompts x --num-generations"
        )
        arguments = GRPOConfig(
            **shared_arguments(
                self.folder, learning_rate=config.learning_rate, warmup=config.warmup, seed=config.seed,
                save_steps=config.save_steps, on_cpu=on_cpu,
            ),
            max_steps=config.max_steps,
            num_generations=config.num_generations,
            per_device_train_batch_size=per_device,
            gradient_accumulation_steps=accumulation,
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
            callbacks=[step_callback(on_step), self._keep_price(), mark_callback()],
        )
        trainer.remove_callback(PrinterCallback)
        self.policy = WholePolicy(trainer)
        return trainer

    def rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """TRL's `rollout_func`: what the pair writes, and which of it the policy decided."""
        # TRL hands rank r the r-th part of the batch; seeds of places in the batch do not depend on how it is shared.
        first = ranks.rank() * len(prompts)
        seeds = [f"{self.config.seed}/{trainer.state.global_step}/{first + number}" for number in range(len(prompts))]
        with self.policy.here() as model, ranks.together():
            policy = LoadedModel(self.small.name, model, self.small.tokenizer)
            decoder = RolloutDecoder(policy, self.big, self.limits, self.config.temperature, hint=self.config.hint)
            rollouts = decoder.rollouts(prompts, seeds)
        return {
            "prompt_ids": [list(one.prompt_ids) for one in rollouts],
            "completion_ids": [list(one.completion_ids) for one in rollouts],
            # Without an engine of its own the rollout's log-probabilities are the trainer's.
            "logprobs": None,  # type: ignore[dict-item]
            "env_mask": [list(one.decided) for one in rollouts],
            "rollout": rollouts,
        }

    def reward(
        self, answer: list[str], rollout: list[Rollout], log_metric: Callable[[str, float], None], **_: Any
    ) -> list[float | None]:
        """A right answer less the price of the share; None where the answer cannot be read.

        What is logged, and what moves the price, are figures of the whole batch, of which each rank has a part.
        """
        verdicts = [is_correct(one.text, gold) for one, gold in zip(rollout, answer, strict=True)]
        rewards = [priced(right, one.share, self.price.value) for right, one in zip(verdicts, rollout, strict=True)]
        verdicts, rollout = ranks.gather(verdicts), ranks.gather(rollout)
        shares = [one.share for one in rollout]
        known = [right for right in verdicts if right is not None]
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
        }.items():
            log_metric(f"offload/{name}", value)
        if warning := collapse(shares, closed, spans):
            self.on_warning(warning)
        self.price.update(mean_share)
        return rewards

    def resume(self) -> str | None:
        """The last complete checkpoint, and the price as it was there."""
        checkpoint = last_complete_checkpoint(self.folder)
        if checkpoint:
            self.price.value = json.loads((Path(checkpoint) / PRICE).read_bytes())["value"]
        return checkpoint

    def _keep_price(self) -> Any:
        from transformers import TrainerCallback

        run = self

        class KeepPrice(TrainerCallback):  # type: ignore[misc]
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                """Written before the checkpoint's last file, so that a complete checkpoint has it."""
                is_saved = state.global_step % args.save_steps == 0 or state.global_step == state.max_steps
                if is_saved and ranks.is_main():
                    folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / PRICE).write_text(json.dumps({"value": run.price.value}))

        return KeepPrice()


def grpo_steps(history: list[dict[str, Any]]) -> list[GrpoStep]:
    """The logged steps of a trainer as records."""
    names = ("accuracy", "share", "spans", "span_tokens", "closed", "price")
    return [
        GrpoStep(
            step=entry["step"], loss=entry["loss"], learning_rate=entry["learning_rate"], reward=entry["reward"],
            **{name: entry[f"offload/{name}"] for name in names},
        )
        for entry in history
        if "loss" in entry
    ]  # fmt: skip
