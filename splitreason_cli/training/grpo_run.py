"""One run of GRPO by TRL's trainer: its rollouts, rewards, price, and what is kept of each step."""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..decoding.lockstep import LockstepDecoder
from ..decoding.writers import BigSide, pair_of
from ..models.loading import LoadedModel, text_of
from ..models.sampling import Sampling
from ..records.data import Generation, GrpoStep, Problem, Segment
from ..split.limits import Limits
from ..store.journal import Journal
from ..store.jsonl import encode
from ..tasks.grader import Grader
from ..tasks.grading import Verdict
from . import ranks
from .collapse import collapse, first_warnings
from .engine_rollouts import EngineDecoder, Exploration
from .grpo_config import TrainGrpoConfig
from .lora import lora_config
from .policy_engine import COLOCATED, PolicyEngine, PolicyEngineConfig
from .price import Price
from .protocols import GrpoTrainer, Logged, Trainer, TrainerArguments, TrainerState
from .reporters import NO_REPORTING, Reporting
from .rewards.base import Worth
from .rewards.named import make_reward
from .rollouts import Rollout, RolloutDecoder, RowDecoder, answered
from .sharded import WholePolicy
from .solo import SoloDecoder
from .trainers import TRAINER, OnStep, last_complete_checkpoint, mark_callback, prepare, shared_arguments, step_callback

if TYPE_CHECKING:
    from transformers import TrainerCallback
    from trl import GRPOConfig

PRICE = "price.json"
OFFLOAD = "offload/"
"""What our own figures begin with in a trainer's log."""

PARTS = [part.name for part in fields(Worth)]
SAMPLES = "samples.jsonl"


@dataclass(frozen=True)
class GrpoWatcher:
    """Who is told while a run goes on.

    Args:
        on_step: called after each optimizer step.
        on_warning: with each known collapse when it first comes, and with rollouts that are left out.
        on_sample: with a rollout of each step.
        reporting: where the curves go as well.
    """

    on_step: OnStep = lambda report: None
    on_warning: Callable[[str], None] = lambda text: None
    on_sample: Callable[[Generation], None] = lambda sample: None
    reporting: Reporting = NO_REPORTING


class GrpoRun:
    """One training run: what its rollouts, rewards and checkpoints share."""

    def __init__(
        self,
        config: TrainGrpoConfig,
        small: LoadedModel,
        big: BigSide,
        work: Path,
        watcher: GrpoWatcher,
        engine: PolicyEngineConfig = COLOCATED,
    ) -> None:
        self.config, self.small, self.big, self.engine_config = config, small, big, engine
        self.folder, self.watcher = work / TRAINER, watcher
        self.samples, self.seconds = Journal(work / SAMPLES), 0.0
        self.price = Price(config.price, config.offload_budget, config.price_rate)
        self.limits = Limits(config.max_tokens, config.max_span_tokens)
        self.grader, self.rewards = Grader(), make_reward(config.rewarded, config.setup)

    def trainer(self, problems: Sequence[Problem]) -> GrpoTrainer:
        """TRL's trainer, its rollouts and rewards ours."""
        import datasets
        from transformers import PrinterCallback

        config, model = self.config, self.small.model
        on_cpu = prepare(self.small, config.seed)
        rows = [{"prompt": one.problem, "answer": one.answer, "problem_id": one.id} for one in problems]
        trainer: GrpoTrainer = self._trainer_class()(
            model=model,
            args=self._arguments(problems, on_cpu=on_cpu),
            reward_funcs=self.reward,
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=self.small.tokenizer,
            rollout_func=self.rollout,
            peft_config=lora_config(model, config.lora_rank, config.lora_alpha),
            callbacks=[step_callback(self.watcher.on_step), self._keep_price(), mark_callback(), self._warn()],
        )
        trainer.remove_callback(PrinterCallback)
        if config.use_vllm:
            self.engine = PolicyEngine(
                trainer.vllm_generation, self.engine_config.context_tokens, shared=self.engine_config.mode == "server"
            )
        else:
            self.policy = WholePolicy(trainer)
        return trainer

    def _trainer_class(self) -> Callable[..., GrpoTrainer]:
        from trl import GRPOTrainer

        from .grpo_trainer import DecisionTrainer

        # Without hand-overs every token is the policy's own choice among all, which is what TRL's trainer scores.
        solo = self.config.rollout == "solo"
        return GRPOTrainer if solo else partial(DecisionTrainer, *self.small.tag_ids())

    def _arguments(self, problems: Sequence[Problem], *, on_cpu: bool) -> "GRPOConfig":
        from trl import GRPOConfig

        config = self.config
        per_device, accumulation = ranks.share_batch(
            config.prompts * config.num_generations, config.per_device_batch_size, "--prompts x --num-generations"
        )
        return GRPOConfig(
            **shared_arguments(self.folder, config, self.watcher.reporting, on_cpu=on_cpu),
            max_steps=config.max_steps,
            num_generations=config.num_generations,
            per_device_train_batch_size=per_device,
            gradient_accumulation_steps=accumulation,
            temperature=config.temperature,
            max_completion_length=config.max_tokens,
            beta=config.beta,
            # Dividing by a group's deviation blows up the price where all answers of a group are equally right. By the
            # batch's, a high price does not drown the steps after it in Adam's memory of its gradients. The paper's
            # procedure has TRL's default.
            scale_rewards="group" if config.rollout == "solo" else "batch",
            adam_beta2=0.99,
            **self._engine_arguments(problems),
        )

    def _engine_arguments(self, problems: Sequence[Problem]) -> dict[str, object]:
        """What TRL is told of the engine. One that it starts here gets as much context as rollouts can fill."""
        config, engine = self.config, self.engine_config
        if not config.use_vllm:
            return {}
        if engine.mode == "colocate":
            # A token stands for a byte at least. Two tags around each token of the big model are not counted.
            prompt = len(self.small.prompt_ids("", hint=config.hint)) + max(
                len(one.problem.encode()) for one in problems
            )
            needed = prompt + 3 * config.max_tokens + 1
            limit = getattr(self.small.model.config, "max_position_embeddings", needed)
            self.engine_config = replace(engine, context_tokens=min(needed, limit))
        return self.engine_config.arguments()

    def rollout(self, prompts: list[str], trainer: Trainer) -> dict[str, Sequence[object] | None]:
        """TRL's `rollout_func`: what the pair writes, and which of it the policy decided."""
        # TRL hands rank r the r-th part of the batch; seeds of places in the batch do not depend on how it is shared.
        first = ranks.rank() * len(prompts)
        seeds = [f"{self.config.seed}/{trainer.state.global_step}/{first + number}" for number in range(len(prompts))]
        # An engine has weights of its own, which TRL has just brought up to date.
        policy = contextlib.nullcontext(self.small.model) if self.config.use_vllm else self.policy.here()
        with policy as model, trainer.accelerator.autocast(), ranks.together():
            started = time.perf_counter()
            rollouts = self._decoder(LoadedModel(self.small.name, model, self.small.tokenizer)).rollouts(prompts, seeds)
            self.seconds = (time.perf_counter() - started) / len(prompts)
        return {
            "prompt_ids": [list(one.prompt_ids) for one in rollouts],
            "completion_ids": [list(one.completion_ids) for one in rollouts],
            # Without an engine of its own the rollout's log-probabilities are the trainer's.
            "logprobs": None,
            "env_mask": [list(one.decided) for one in rollouts],
            "rollout": rollouts,
        }

    def _decoder(self, policy: LoadedModel) -> RolloutDecoder | SoloDecoder:
        config, engine = self.config, self.engine if self.config.use_vllm else None
        if config.rollout == "solo":
            return SoloDecoder(policy, config.max_tokens, config.temperature, hint=config.hint, engine=engine)
        pair, sampled = pair_of(policy, self.big, hint=config.hint), config.closing == "sampled"
        decoder: RowDecoder
        if engine:
            decoder = EngineDecoder(pair, self.limits, Exploration(config.temperature, sampled), engine, self.big)
        else:
            decoder = LockstepDecoder(pair, self.limits, Sampling(config.temperature), big=self.big, explores=True)
        return RolloutDecoder(decoder, sample_closing=sampled)

    def reward(
        self,
        *,
        prompts: list[str],
        answer: list[str],
        problem_id: list[str],
        rollout: list[Rollout],
        log_metric: Callable[[str, float], None],
        trainer_state: TrainerState,
        **_: object,
    ) -> list[float | None]:
        """What each rollout is worth; None, from which TRL learns nothing, if the big model failed or
        there is no verdict.

        What is logged, and what moves the price, are figures of the whole batch, of which each rank has a part.
        """
        graded = self.grader.grade([(one.text, gold) for one, gold in zip(rollout, answer, strict=True)])
        verdicts = [
            Verdict(None, one.failed) if one.failed else verdict for verdict, one in zip(graded, rollout, strict=True)
        ]
        own, rollout = rollout, ranks.gather(rollout)
        whole, warning = answered(rollout)
        if warning and ranks.is_main():
            self.watcher.on_warning(warning)
        asked = _asked(whole)
        price = self.price.of_batch(asked["share"])
        rewards = [self._worth(verdict.correct, one, price) for verdict, one in zip(verdicts, own, strict=True)]
        known = [one for one in ranks.gather(rewards) if one]
        parts = {part: sum(getattr(one, part) for one in known) / max(1, len(known)) for part in PARTS}
        for name, value in {**asked, "price": price, "failed": float(len(rollout) - len(whole)), **parts}.items():
            log_metric(f"{OFFLOAD}{name}", value)
        if ranks.is_main():
            first = Problem(id=problem_id[0], problem=prompts[0], answer=answer[0])
            self._keep_sample(trainer_state.global_step + 1, first, rollout[0], verdicts[0])
        return [one.total if one else None for one in rewards]

    def _worth(self, right: bool | None, rollout: Rollout, price: float) -> Worth | None:
        return None if right is None else self.rewards.worth(right, rollout, price)

    def _keep_sample(self, step: int, problem: Problem, rollout: Rollout, verdict: Verdict) -> None:
        sample = Generation(
            id=problem.id,
            system=self.config.rollout,
            sample=step,
            problem=problem.problem,
            answer=problem.answer,
            segments=tuple(
                Segment(author=author, token_ids=ids, text=text_of(self.small, ids)) for author, ids in rollout.segments
            ),
            finish_reason=rollout.finish_reason,
            correct=verdict.correct,
            tokens=rollout.tokens,
            big_tokens=rollout.big_tokens,
            spans=rollout.spans,
            refused=rollout.refused,
            cut=rollout.cut_spans,
            unclosed=int(rollout.ended_in_span),
            seconds=self.seconds,
            ungraded_reason=verdict.reason,
        )
        self.samples.append([encode(sample)])
        self.watcher.on_sample(sample)

    def resume(self, on_note: Callable[[str], None]) -> str | None:
        """The last complete checkpoint, of which `on_note` is told; price and samples as they were there."""
        checkpoint = last_complete_checkpoint(self.folder, on_note)
        if checkpoint:
            self.price.multiplier = json.loads((Path(checkpoint) / PRICE).read_bytes())["multiplier"]
        # One sample a step.
        if ranks.is_main():
            self.samples.restart(int(checkpoint.rpartition("-")[2]) if checkpoint else 0)
        return checkpoint

    def _keep_price(self) -> "TrainerCallback":
        from transformers import TrainerCallback

        run = self

        class KeepPrice(TrainerCallback):  # type: ignore[misc]
            def on_step_end(
                self, args: TrainerArguments, state: TrainerState, control: object, **kwargs: object
            ) -> None:
                """Written before the checkpoint's last file, so that a complete checkpoint has it."""
                is_saved = state.global_step % args.save_steps == 0 or state.global_step == state.max_steps
                if is_saved and ranks.is_main():
                    folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / PRICE).write_text(json.dumps({"multiplier": run.price.multiplier}))

        return KeepPrice()

    def _warn(self) -> "TrainerCallback":
        from transformers import TrainerCallback

        run = self

        class Warn(TrainerCallback):  # type: ignore[misc]
            def on_log(
                self, args: TrainerArguments, state: TrainerState, control: object, logs: Logged, **kwargs: object
            ) -> None:
                """The history holds the steps before a crash as well, so that nothing is said twice."""
                if ranks.is_main() and "loss" in logs:
                    steps = grpo_steps(state.log_history, run.config)
                    if first_warnings(steps).get(steps[-1].warning) == steps[-1].step:
                        run.watcher.on_warning(f"step {steps[-1].step}: {steps[-1].warning}")

        return Warn()


def _asked(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """How much a batch asked of the big model: means over its rollouts, shares of all their tokens and spans."""
    spans, closed = sum(one.spans for one in rollouts), sum(one.closed_spans for one in rollouts)
    big_tokens, tokens = sum(one.big_tokens for one in rollouts), sum(one.tokens for one in rollouts)
    return {
        "share": big_tokens / tokens if tokens else 0.0,
        "spans": spans / len(rollouts),
        "span_tokens": big_tokens / spans if spans else 0.0,
        "closed": closed / spans if spans else 0.0,
        "unclosed": (spans - closed) / len(rollouts),
        "tokens": tokens / len(rollouts),
    }


def grpo_steps(history: Sequence[Logged], config: TrainGrpoConfig) -> list[GrpoStep]:
    """The logged steps of a trainer as records."""
    return [_grpo_step(entry, config) for entry in history if "loss" in entry]


def _grpo_step(entry: Logged, config: TrainGrpoConfig) -> GrpoStep:
    own = {name.removeprefix(OFFLOAD): value for name, value in entry.items() if name.startswith(OFFLOAD)}
    opens = round(own["spans"] * config.prompts * config.num_generations)
    return GrpoStep(
        step=int(entry["step"]),
        loss=entry["loss"],
        learning_rate=entry["learning_rate"],
        reward=entry["reward"],
        accuracy=own["accuracy"],
        share=own["share"],
        spans=own["spans"],
        span_tokens=own["span_tokens"],
        closed=own["closed"],
        unclosed=own["unclosed"],
        tokens=own["tokens"],
        failed=round(own["failed"]),
        price=own["price"],
        price_paid=own["price_paid"],
        format_bonus=own["format_bonus"],
        tag_count=own["tag_count"],
        warning=collapse(own["share"], opens, own["closed"], config.offload_budget),
    )
