"""srx train"""

import dataclasses
import shutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from ..errors import UsageError
from ..records.data import Generation, GrpoStep
from ..store.artifacts import META, Artifact, Store
from ..store.jsonl import disk_fault, encode, write_atomically
from ..store.source import Quarantine, Source, raise_first_rejected, read_records
from ..training import ranks
from ..training.reporters import NO_REPORTING, Reporting
from ..training.rewards.named import REWARDS
from . import console, values
from .options import Strict, finish, stepper
from .side_options import BigKeyEnv, BigServedName, BigText, BigTokenizer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ..decoding.remote import RemoteConfig
    from ..models.sides import Side
    from ..training.grpo_run import TrainGrpoConfig
    from ..training.policy_engine import PolicyEngineConfig

CURVES, SAMPLES = "curves.png", "samples.jsonl"

C = TypeVar("C", bound="DataclassInstance")

SLOWEST_STEP_SECONDS = 3600.0


class Tags(StrEnum):
    SPECIAL = "special"
    TEXT = "text"


LoraRank = Annotated[
    int | None, typer.Option(min=0, help="Rank of adapters to train in place of all weights; 0: all weights.")
]
LoraAlpha = Annotated[int | None, typer.Option(min=1, help="Scale of the adapters times their rank; twice the rank.")]
ReportTo = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Send the curves to tensorboard, trackio or wandb as well; none sends none."),
]
PushToHub = Annotated[
    str | None, typer.Option(metavar="REPO_ID", help="Upload the model to the Hugging Face hub, by HF_TOKEN or login.")
]
HubPublic = Annotated[bool, typer.Option("--hub-public/--hub-private", help="Who sees a repository created there.")]

train = typer.Typer(no_args_is_help=True, help="Train the small model.")


def register(app: typer.Typer) -> None:
    app.add_typer(train, name="train")


@train.command("sft", epilog="Example: srx train sft --recipe mini --in sft.jsonl --out my-model")
def sft(
    in_: Annotated[str, typer.Option("--in", help="JSONL of kind sft_example; - is standard input.")] = "-",
    out: Annotated[str, typer.Option("--out", help="Folder for the checkpoint.")] = "srx-sft",
    recipe: Annotated[str, typer.Option(help="Defaults for all that follows: paper or mini.")] = "paper",
    model: Annotated[
        str | None, typer.Option(help="Model to start from: folder, Hugging Face name, mini-small.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(min=0.001, help="Passes over the data.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps, instead of epochs.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Sequences an optimizer step, over all devices.")
    ] = None,
    per_device_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Sequences at a time on each device, at most.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Peak of the cosine schedule.")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens a sequence; longer ones are cut.")] = None,
    packing: Annotated[bool | None, typer.Option(help="Join short sequences up to --max-length.")] = None,
    save_steps: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints to resume from.")] = None,
    seed: Annotated[int | None, typer.Option(help="Order of the data.")] = None,
    lora_rank: LoraRank = None,
    lora_alpha: LoraAlpha = None,
    tags: Annotated[
        Tags | None, typer.Option(help="Tags as tokens of their own, or as the text they are spelled with.")
    ] = None,
    report_to: ReportTo = None,
    push_to_hub: PushToHub = None,
    hub_public: HubPublic = False,
    strict: Strict = False,
) -> None:
    """Fine-tune the small model to hand over and to take back, by TRL's SFTTrainer.

    Writes a checkpoint that AutoModelForCausalLM loads, adapters merged, with a model card. Run it again after a crash
    and it resumes.
    """
    given = locals()
    console.quiet_libraries()
    reporting = _reporting(report_to, out, push_to_hub)
    from ..training import sft as stage

    config = _resolved(stage.RECIPES, recipe, given)
    _require_elsewhere(out, config.model)
    store = Store.default()
    source = _source(in_, store)
    with console.progress(SLOWEST_STEP_SECONDS) as live:
        artifact, cached = stage.train_sft(
            source, config, store, strict=strict, on_step=stepper(live, "train sft"), reporting=reporting
        )
    if strict:
        raise_first_rejected(artifact.rejected)
    ranks.leave()
    if ranks.is_main():
        deliver_model(artifact, Path(out))
        push(artifact, push_to_hub, public=hub_public)
        finish(artifact, cached, out, "steps")


@train.command("grpo", epilog="Example: srx train grpo --recipe mini --model my-model --in problems.jsonl")
def grpo(
    in_: Annotated[str, typer.Option("--in", help="JSONL with problem and answer; - is standard input.")] = "-",
    out: Annotated[str, typer.Option("--out", help="Folder for the checkpoint.")] = "srx-grpo",
    recipe: Annotated[str, typer.Option(help="Defaults for all that follows: paper or mini.")] = "paper",
    model: Annotated[str | None, typer.Option(help="Small model to start from: what srx train sft wrote.")] = None,
    big: Annotated[
        str | None, typer.Option(help="Big model, frozen, with the same vocabulary; or URLs of vLLM servers of it.")
    ] = None,
    big_served_name: BigServedName = None,
    big_tokenizer: BigTokenizer = None,
    big_key_env: BigKeyEnv = None,
    big_text: BigText = False,
    big_concurrency: Annotated[int, typer.Option(min=1, help="Streams at once from --big's URLs.")] = 64,
    big_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for the first token from --big's URLs.")] = 120.0,
    rollout: Annotated[
        Literal["split", "solo"] | None,
        typer.Option(help="split: the big model writes the spans. solo: the paper's procedure and rewards."),
    ] = None,
    closing: Annotated[
        Literal["sampled", "argmax"] | None,
        typer.Option(help="Whether taking back is sampled and trained, or neither (to see what it is good for)."),
    ] = None,
    offload_budget: Annotated[
        str | None, typer.Option(help="Mean share of big tokens to land on, such as 5%; none keeps --price.")
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0, help="Right answers that offloading everything costs, at first.")
    ] = None,
    price_rate: Annotated[
        float | None, typer.Option(min=0, help="How fast the price follows the share, in right answers a budget.")
    ] = None,
    cost: Annotated[
        Literal["share", "time"] | None,
        typer.Option(help="What the price is of: big tokens, or the time they add at the two models' rates."),
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(help=f"What a rollout earns, instead of --cost: {', '.join(REWARDS.own)}, or that of a plugin."),
    ] = None,
    small_rates: Annotated[
        str | None, typer.Option(help="--cost time: prefilled/decoded tokens a second, such as 30000/150.")
    ] = None,
    big_rates: Annotated[str | None, typer.Option(help="--cost time: the same of the big model.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps.")] = None,
    prompts: Annotated[int | None, typer.Option(min=1, help="Problems an optimizer step, over all devices.")] = None,
    num_generations: Annotated[int | None, typer.Option(min=2, help="Rollouts of each problem.")] = None,
    per_device_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Rollouts at a time in the backward pass of each device, at most.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Peak of the cosine schedule.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.01, help="Of rollouts.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest rollout.")] = None,
    max_span_tokens: Annotated[int | None, typer.Option(min=1, help="Longest span of the big model.")] = None,
    beta: Annotated[float | None, typer.Option(min=0, help="Weight of the KL penalty.")] = None,
    hint: Annotated[bool | None, typer.Option(help="Tell the small model about the tags.")] = None,
    save_steps: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints to resume from.")] = None,
    seed: Annotated[int | None, typer.Option(help="Order of the problems, and rollouts.")] = None,
    use_vllm: Annotated[
        bool | None, typer.Option("--use-vllm", help="Let vLLM generate for the small model, weights synced each step.")
    ] = None,
    vllm_mode: Annotated[
        Literal["server", "colocate"] | None,
        typer.Option(help="--use-vllm: one server for all, or beside the trainer on each GPU (the default)."),
    ] = None,
    vllm_server_base_url: Annotated[
        str | None, typer.Option(help="--vllm-mode server: its URL; http://127.0.0.1:8000.")
    ] = None,
    vllm_gpu_memory_utilization: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="--vllm-mode colocate: its part of a GPU's memory; 0.3.")
    ] = None,
    sample_steps: Annotated[
        int | None, typer.Option(min=0, help="Show a rollout every so many steps; 0: none. paper: 50, mini: 10.")
    ] = None,
    lora_rank: LoraRank = None,
    lora_alpha: LoraAlpha = None,
    report_to: ReportTo = None,
    push_to_hub: PushToHub = None,
    hub_public: HubPublic = False,
    strict: Strict = False,
) -> None:
    """Teach the small model when to ask, by TRL's GRPOTrainer, with the big model writing in every rollout.

    Rewarded are right answers less the price of the big model's tokens; only the small model's decisions are trained.
    The folder also gets curves.png, and samples.jsonl with the rollouts that were shown. Run it again after a crash and
    it resumes.
    """
    budget = None if offload_budget in (None, "none") else values.share("--offload-budget", str(offload_budget))
    rates = {
        name: values.rates(flag, text)
        for name, flag, text in [("small_rates", "--small-rates", small_rates), ("big_rates", "--big-rates", big_rates)]
        if text is not None
    }
    given = {**locals(), "offload_budget": budget, "small_rates": None, "big_rates": None, **rates}
    if reward is not None and cost is not None:
        raise UsageError("--cost has no effect", "It names the reward, as --reward does: leave one of them out")
    console.quiet_libraries()
    reporting = _reporting(report_to, out, push_to_hub)
    from ..decoding.remote import RemoteConfig
    from ..models.sides import Side
    from ..training import grpo as stage

    config = _resolved(stage.RECIPES, recipe, given)
    _require_elsewhere(out, config.model)
    side = Side(config.big, big_tokenizer, big_key_env, served_name=big_served_name, text_only=big_text)
    remote = RemoteConfig(concurrency=big_concurrency, first_token_seconds=big_timeout)
    engine = _engine(config.use_vllm, vllm_mode, vllm_server_base_url, vllm_gpu_memory_utilization)
    every = stage.SAMPLE_STEPS[recipe] if sample_steps is None else sample_steps
    store = Store.default()
    artifact, cached = run_grpo(
        _source(in_, store), config, store, every, strict=strict, reporting=reporting, side=side, remote=remote,
        engine=engine,
    )  # fmt: skip
    if strict:
        raise_first_rejected(artifact.rejected)
    ranks.leave()
    if ranks.is_main():
        deliver_grpo(artifact, Path(out), config.offload_budget, every)
        push(artifact, push_to_hub, public=hub_public)
        finish(artifact, cached, out, "steps")


def _engine(use_vllm: bool, mode: str | None, url: str | None, utilization: float | None) -> "PolicyEngineConfig":
    """Where vLLM generates. Raises UsageError for what would have no effect."""
    from ..training.policy_engine import PolicyEngineConfig

    given = {"mode": mode, "server_base_url": url, "gpu_memory_utilization": utilization}
    flags = {name: value for name, value in given.items() if value is not None}
    if flags and not use_vllm:
        raise UsageError(f"--vllm-{next(iter(flags)).replace('_', '-')} has no effect", "Give --use-vllm as well")
    if url is not None and mode != "server":
        raise UsageError("--vllm-server-base-url has no effect", "Give --vllm-mode server as well")
    if utilization is not None and mode == "server":
        raise UsageError("--vllm-gpu-memory-utilization has no effect", "Tell the server: --gpu-memory-utilization")
    return PolicyEngineConfig(**flags)  # type: ignore[arg-type]


def _reporting(report_to: list[str] | None, out: str, push_to_hub: str | None) -> Reporting:
    """Where the curves go, under the name of the folder. What would fail at the end fails here: raises UsageError."""
    from ..training.hub import require_hub

    if push_to_hub is not None:
        require_hub(push_to_hub)
    return Reporting.parse(report_to or [], Path(out).resolve().name)


def run_grpo(
    source: Source,
    config: "TrainGrpoConfig",
    store: Store,
    sample_steps: int,
    *,
    strict: bool = False,
    reporting: Reporting = NO_REPORTING,
    side: "Side | None" = None,
    remote: "RemoteConfig | None" = None,
    engine: "PolicyEngineConfig | None" = None,
) -> tuple[Artifact, bool]:
    """Train with one progress line, below the warnings and a rollout every `sample_steps`."""
    from ..training.grpo import train_grpo
    from .render import render

    def on_sample(sample: Generation) -> None:
        if sample_steps and sample.sample % sample_steps == 0:
            console.note(f"step {sample.sample}:")
            console.stderr.print(render(sample))

    with console.progress(SLOWEST_STEP_SECONDS) as live:
        return train_grpo(
            source, config, store, strict=strict, on_step=stepper(live, "train grpo"), on_sample=on_sample,
            on_warning=lambda text: console.note(f"warning: {text}"), reporting=reporting, side=side, remote=remote,
            engine=engine,
        )  # fmt: skip


def deliver_grpo(artifact: Artifact, out: Path, offload_budget: float | None, sample_steps: int) -> None:
    """`deliver_model`, and beside it the curves and the rollouts that were shown."""
    from ..showing.plots import write_curves

    deliver_model(artifact, out)
    steps = list(read_records(Source.stream(str(artifact.records)), GrpoStep.from_dict, Quarantine()))
    write_curves(out / CURVES, steps, offload_budget)
    samples = read_records(Source.stream(str(artifact.path / SAMPLES)), Generation.from_dict, Quarantine())
    shown = [encode(one) for one in samples if sample_steps and one.sample % sample_steps == 0]
    if shown:
        write_atomically(out / SAMPLES, iter(shown))
    else:
        # Of an earlier run to the same folder.
        (out / SAMPLES).unlink(missing_ok=True)


def _resolved(recipes: Mapping[str, C], recipe: str, given: Mapping[str, object]) -> C:
    """A recipe's configuration with the flags that were given. Raises UsageError."""
    if recipe not in recipes:
        raise UsageError(f"unknown recipe {recipe!r}", f"Known recipes: {', '.join(recipes)}")
    fields = {field.name for field in dataclasses.fields(recipes[recipe])}
    flags = {name: value for name, value in given.items() if name in fields and value is not None}
    return dataclasses.replace(recipes[recipe], **flags)


def _require_elsewhere(out: str, model: str) -> None:
    """Raises UsageError where the result would overwrite the model that it comes from."""
    if Path(out).resolve() == Path(model).resolve():
        raise UsageError(f"--out {out} is the model to start from", "Name another folder")


def _source(in_: str, store: Store) -> Source:
    """The input of one or several processes. Raises UsageError, InputError."""
    ranks.require_file(in_)
    if ranks.launched_alone():
        console.note(
            "warning: accelerate launch --cpu has started one process; --multi_gpu starts several, on CPUs too"
        )
    return Source.open(in_, store)


def deliver_model(artifact: Artifact, out: Path) -> None:
    """Copy an artifact's checkpoint to `out`, with the configuration that made it as srx.json."""
    try:
        shutil.copytree(artifact.path / "model", out, dirs_exist_ok=True)
        shutil.copy(artifact.path / META, out / "srx.json")
    except OSError as error:
        raise disk_fault(out, error) from None


def push(artifact: Artifact, repo_id: str | None, *, public: bool) -> None:
    """Upload an artifact's model to the Hub, if a repository is named: not `out`, where other files may lie."""
    from ..training.hub import push_model

    if repo_id is not None:
        console.say(f"pushed to {push_model(artifact.path / 'model', repo_id, private=not public)}")
