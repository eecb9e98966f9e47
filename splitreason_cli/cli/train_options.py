"""Groups of flags of srx train. A flag that was not given is None: the recipe decides."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import UsageError
from ..store.artifacts import Artifact
from ..training.reporters import Reporting
from ..training.rewards.named import REWARDS
from . import console, values
from .reading_options import Columns
from .side_options import BigUrls

if TYPE_CHECKING:
    from ..decoding.remote import RemoteConfig
    from ..training.policy_engine import PolicyEngineConfig


class Tags(StrEnum):
    SPECIAL = "special"
    TEXT = "text"


@dataclass(frozen=True)
class SftFlags:
    """Fields of `TrainSftConfig`."""

    model: Annotated[str | None, typer.Option(help="Model to start from: folder, Hugging Face name, mini-small.")] = (
        None
    )
    epochs: Annotated[float | None, typer.Option(min=0.001, help="Passes over the data.")] = None
    max_steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps, instead of epochs.")] = None
    batch_size: Annotated[int | None, typer.Option(min=1, help="Sequences an optimizer step, over all devices.")] = None
    per_device_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Sequences at a time on each device, at most.")
    ] = None
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Peak of the cosine schedule.")] = None
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens a sequence; longer ones are cut.")] = None
    packing: Annotated[bool | None, typer.Option(help="Join short sequences up to --max-length.")] = None
    save_steps: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints to resume from.")] = None
    seed: Annotated[int | None, typer.Option(help="Order of the data.")] = None
    tags: Annotated[
        Tags | None, typer.Option(help="Tags as tokens of their own, or as the text they are spelled with.")
    ] = None


@dataclass(frozen=True)
class GrpoModels:
    """The pair, and how the big model is reached."""

    urls: BigUrls
    model: Annotated[str | None, typer.Option(help="Small model to start from: what srx train sft wrote.")] = None
    big: Annotated[
        str | None, typer.Option(help="Big model, frozen, with the same vocabulary; or URLs of vLLM servers of it.")
    ] = None
    big_concurrency: Annotated[int, typer.Option(min=1, help="Streams at once from --big's URLs.")] = 64
    big_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for the first token from --big's URLs.")] = 120.0

    def settings(self) -> dict[str, object]:
        """Fields of `TrainGrpoConfig`."""
        return {"model": self.model, "big": self.big}

    def remote(self) -> "RemoteConfig":
        """How hard servers of the big model are asked."""
        from ..decoding.remote import RemoteConfig

        return RemoteConfig(concurrency=self.big_concurrency, first_token_seconds=self.big_timeout)


@dataclass(frozen=True)
class Asking:
    """What a rollout is, and what asking costs in it."""

    rollout: Annotated[
        Literal["split", "solo"] | None,
        typer.Option(help="split: the big model writes the spans. solo: the paper's procedure and rewards."),
    ] = None
    closing: Annotated[
        Literal["sampled", "argmax"] | None,
        typer.Option(help="Whether taking back is sampled and trained, or neither (to see what it is good for)."),
    ] = None
    offload_budget: Annotated[
        str | None, typer.Option(help="Mean share of big tokens to land on, such as 5%; none keeps --price.")
    ] = None
    price: Annotated[
        float | None, typer.Option(min=0, help="Right answers that offloading everything costs, at first.")
    ] = None
    price_rate: Annotated[
        float | None, typer.Option(min=0, help="How fast the price follows the share, in right answers a budget.")
    ] = None
    cost: Annotated[
        Literal["share", "time"] | None,
        typer.Option(help="What the price is of: big tokens, or the time they add at the two models' rates."),
    ] = None
    reward: Annotated[
        str | None,
        typer.Option(help=f"What a rollout earns, instead of --cost: {', '.join(REWARDS.own)}, or that of a plugin."),
    ] = None
    small_rates: Annotated[
        str | None, typer.Option(help="--cost time: prefilled/decoded tokens a second, such as 30000/150.")
    ] = None
    big_rates: Annotated[str | None, typer.Option(help="--cost time: the same of the big model.")] = None

    def settings(self) -> dict[str, object]:
        """Fields of `TrainGrpoConfig`. Raises UsageError."""
        if self.reward is not None and self.cost is not None:
            raise UsageError("--cost has no effect", "It names the reward, as --reward does: leave one of them out")
        budget, small, big = self.offload_budget, self.small_rates, self.big_rates
        return {
            **vars(self),
            "offload_budget": None if budget in (None, "none") else values.share("--offload-budget", str(budget)),
            "small_rates": None if small is None else values.rates("--small-rates", small),
            "big_rates": None if big is None else values.rates("--big-rates", big),
        }


@dataclass(frozen=True)
class GrpoFlags:
    """Fields of `TrainGrpoConfig`; `columns` is still to be parsed."""

    columns: Columns = None
    max_steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps.")] = None
    prompts: Annotated[int | None, typer.Option(min=1, help="Problems an optimizer step, over all devices.")] = None
    num_generations: Annotated[int | None, typer.Option(min=2, help="Rollouts of each problem.")] = None
    per_device_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Rollouts at a time in the backward pass of each device, at most.")
    ] = None
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Peak of the cosine schedule.")] = None
    temperature: Annotated[float | None, typer.Option(min=0.01, help="Of rollouts.")] = None
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest rollout.")] = None
    max_span_tokens: Annotated[int | None, typer.Option(min=1, help="Longest span of the big model.")] = None
    beta: Annotated[float | None, typer.Option(min=0, help="Weight of the KL penalty.")] = None
    hint: Annotated[bool | None, typer.Option(help="Tell the small model about the tags.")] = None
    save_steps: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints to resume from.")] = None
    seed: Annotated[int | None, typer.Option(help="Order of the problems, and rollouts.")] = None


@dataclass(frozen=True)
class PolicyVllm:
    """vLLM that generates for the small model."""

    use_vllm: Annotated[
        bool | None, typer.Option("--use-vllm", help="Let vLLM generate for the small model, weights synced each step.")
    ] = None
    vllm_mode: Annotated[
        Literal["server", "colocate"] | None,
        typer.Option(help="--use-vllm: one server for all, or beside the trainer on each GPU (the default)."),
    ] = None
    vllm_server_base_url: Annotated[
        str | None, typer.Option(help="--vllm-mode server: its URL; http://127.0.0.1:8000.")
    ] = None
    vllm_gpu_memory_utilization: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="--vllm-mode colocate: its part of a GPU's memory; 0.3.")
    ] = None

    def engine(self) -> "PolicyEngineConfig":
        """Where it runs. Raises UsageError for what would have no effect."""
        from ..training.policy_engine import PolicyEngineConfig

        given = {
            "mode": self.vllm_mode,
            "server_base_url": self.vllm_server_base_url,
            "gpu_memory_utilization": self.vllm_gpu_memory_utilization,
        }
        flags = {name: value for name, value in given.items() if value is not None}
        if flags and not self.use_vllm:
            raise UsageError(f"--vllm-{next(iter(flags)).replace('_', '-')} has no effect", "Give --use-vllm as well")
        if "server_base_url" in flags and self.vllm_mode != "server":
            raise UsageError("--vllm-server-base-url has no effect", "Give --vllm-mode server as well")
        if "gpu_memory_utilization" in flags and self.vllm_mode == "server":
            raise UsageError("--vllm-gpu-memory-utilization has no effect", "Tell the server: --gpu-memory-utilization")
        return PolicyEngineConfig(**flags)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Lora:
    """Fields of either configuration."""

    lora_rank: Annotated[
        int | None, typer.Option(min=0, help="Rank of adapters to train in place of all weights; 0: all weights.")
    ] = None
    lora_alpha: Annotated[
        int | None, typer.Option(min=1, help="Scale of the adapters times their rank; twice the rank.")
    ] = None


@dataclass(frozen=True)
class Publishing:
    """Who gets curves and model."""

    report_to: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Send the curves to tensorboard, trackio or wandb as well; none sends none."),
    ] = None
    push_to_hub: Annotated[
        str | None,
        typer.Option(metavar="REPO_ID", help="Upload the model to the Hugging Face hub, by HF_TOKEN or login."),
    ] = None
    hub_public: Annotated[
        bool, typer.Option("--hub-public/--hub-private", help="Who sees a repository created there.")
    ] = False

    def reporting(self, out: str) -> Reporting:
        """Where the curves go, under the name of the folder. What would fail at the end fails here: UsageError."""
        from ..training.hub import require_hub

        if self.push_to_hub is not None:
            require_hub(self.push_to_hub)
        return Reporting.parse(self.report_to or [], Path(out).resolve().name)

    def push(self, artifact: Artifact) -> None:
        """Upload an artifact's model, if a repository is named: not the output's folder, where other files may lie."""
        from ..training.hub import push_model

        if self.push_to_hub is not None:
            link = push_model(artifact.path / "model", self.push_to_hub, private=not self.hub_public)
            console.say(f"pushed to {link}")
