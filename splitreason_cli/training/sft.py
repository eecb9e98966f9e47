"""train sft: teach the small model where to open and close a hand-over, by TRL's SFTTrainer."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import InputError, ModelError
from ..models.loading import LoadedModel, default_device, load_model, model_digest
from ..models.protocols import Tokenizer
from ..models.tokenizing import add_tags, end_of_text, example_ids
from ..records import markup
from ..records.data import SchemaError, SftConversation, SftExample, TrainStep
from ..store.artifacts import REJECTED, Artifact, Recipe, Store
from ..store.digests import code_of
from ..store.source import Quarantine, Source, raise_first_rejected, read_records
from . import ranks
from .lora import lora_config, require_rank, without_bias
from .model_card import sft_measures
from .protocols import Logged, Trainer
from .reporters import NO_REPORTING, Reporting
from .trainers import (
    MODEL,
    TRAINER,
    OnStep,
    computing_libraries,
    last_complete_checkpoint,
    mark_callback,
    memory_advice,
    prepare,
    publish,
    save_model,
    shared_arguments,
    step_callback,
)

if TYPE_CHECKING:
    from torch import Tensor
    from trl import SFTConfig

STAGE = "train_sft"


@dataclass(frozen=True)
class TrainSftConfig:
    """`batch_size` sequences an optimizer step, at most `per_device_batch_size` of them at a time on each device.

    `epochs` passes over the data, or `max_steps` optimizer steps if that is not 0. `max_length` in tokens, longer
    sequences are cut, and dropped if nothing is left to learn. `packing` joins short sequences up to `max_length`. A
    checkpoint is kept every `save_steps`. With a `lora_rank` adapters of that rank are trained and merged into the
    model at the end, scaled by `lora_alpha` / `lora_rank`; without an alpha by 2. `tags` are tokens of their own
    (`special`), or the text they are spelled with.

    Raises UsageError for an alpha without a rank.
    """

    model: str = "mini-small"
    epochs: float = 3.0
    max_steps: int = 0
    batch_size: int = 64
    per_device_batch_size: int = 1
    learning_rate: float = 5e-5
    warmup: float = 0.05
    max_length: int = 16_384
    packing: bool = True
    save_steps: int = 100
    seed: int = 0
    lora_rank: int = 0
    lora_alpha: int | None = None
    tags: Literal["special", "text"] = "special"

    def __post_init__(self) -> None:
        require_rank(self.lora_rank, self.lora_alpha)


RECIPES = {
    "paper": TrainSftConfig(model="deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"),
    "mini": TrainSftConfig(
        model="mini-small",
        epochs=8,
        batch_size=32,
        per_device_batch_size=32,
        learning_rate=2e-3,
        warmup=0.1,
        max_length=512,
        packing=False,
        save_steps=50,
    ),
}
"""`paper`: SplitReason, arXiv:2504.16379, table of hyper-parameters. `mini`: the embedded small model, on a CPU."""


def train_sft(
    source: Source,
    config: TrainSftConfig,
    store: Store,
    *,
    strict: bool = False,
    on_step: OnStep = lambda report: None,
    reporting: Reporting = NO_REPORTING,
) -> tuple[Artifact, bool]:
    """Fine-tune on the train split of `source`; returns the artifact, whose `model` folder holds the checkpoint.

    Killed at any moment, the next call goes on from the last complete checkpoint with the same result.

    Args:
        on_step: called after each optimizer step.
        reporting: where the curves go as well.

    Raises:
        ModelError: the model does not load. InputError: no training example is left. UsageError: the processes cannot
        share a batch equally. MachineError: memory runs out.
    """
    ranks.join(default_device())
    ranks.require_same(source.label, source.digest)
    digests = ranks.from_main(lambda: {"in": source.digest, "model": model_digest(config.model)})
    recipe = Recipe(STAGE, asdict(config), digests, code_of(__name__, computing_libraries(config.lora_rank)))
    if found := ranks.from_main(lambda: store.find(recipe)):
        return found, True
    with ranks.work(store, recipe) as work:
        with ranks.together():
            examples = _examples(source, Quarantine(None if strict else work / REJECTED, writes=ranks.is_main()))
            loaded = _load_with_tags(config)
        trainer = _trainer(loaded, examples, config, work / TRAINER, on_step, reporting)
        if not len(trainer.train_dataset):
            raise InputError(f"no example fits into {config.max_length} tokens", "Raise --max-length")
        with memory_advice(config.per_device_batch_size, "--max-length", config.max_length):
            trainer.train(resume_from_checkpoint=last_complete_checkpoint(work / TRAINER, store.on_note))
        save_model(trainer, loaded.tokenizer, work / MODEL)
        steps = _steps(trainer.state.log_history)
        return publish(store, recipe, work, "sft", steps, sft_measures(steps)), False


def _examples(source: Source, quarantine: Quarantine) -> list[SftExample]:
    records = [*read_records(source, _read_example, quarantine, _why_unusable)]
    if not records and quarantine.path:
        raise_first_rejected(quarantine.path)
    examples = [example for example in records if example.split == "train"]
    if not examples:
        raise InputError(f"{source.label}: no example of the split 'train'", "Lower build-sft --test-fraction")
    return examples


def _read_example(value: object) -> SftExample:
    if isinstance(value, dict) and value.get("kind") == SftConversation.kind:
        # One conversation means that the whole file was built for another trainer; no line of it is worth a quarantine.
        hint = "Build them with: srx build-sft --format prompt-completion"
        raise InputError("train sft reads records of kind sft_example, not sft_conversation", hint)
    if isinstance(value, dict) and "kind" not in value and "completion" not in value:
        columns = ", ".join(value) or "no columns"
        raise SchemaError(f"a row with {columns} is no training example. Build them of it first: srx build-sft")
    return SftExample.from_dict(value)


def _why_unusable(example: SftExample) -> str | None:
    try:
        markup.parse(example.completion)
    except markup.MarkupError as error:
        return f"field 'completion': {error}"
    return None


def _load_with_tags(config: TrainSftConfig) -> LoadedModel:
    """The model with both tags as single tokens of its vocabulary, if they are to be. Raises ModelError."""
    loaded = load_model(config.model, default_device(), float32=not config.lora_rank)
    if config.tags == "text":
        if loaded.token_ids.tags:
            raise ModelError(f"{config.model} already has tags as tokens of its own", "Leave out --tags text")
        return loaded
    if new := add_tags(loaded.tokenizer):
        # Vocabularies are often padded beyond the tokenizer; resizing to the tokenizer would shrink those.
        if len(loaded.tokenizer) > loaded.model.get_input_embeddings().num_embeddings:
            loaded.model.resize_token_embeddings(len(loaded.tokenizer))
        for embeddings in (loaded.model.get_input_embeddings(), loaded.model.get_output_embeddings()):
            initialize_apart(embeddings.weight, loaded.tokenizer.convert_tokens_to_ids(new), config.seed)
    return loaded


def initialize_apart(weight: "Tensor", ids: list[int], seed: int) -> None:
    """Set rows of an embedding [vocabulary, hidden] to the mean of all rows plus noise of their spread.

    Rows that are the mean alone would be equal, and hard to tell apart for a long time.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        mean, spread = weight.mean(0), weight.std(0)
        for token in ids:
            noise = torch.randn(weight.shape[1], generator=generator).to(weight)
            weight[token] = mean + spread * noise


def _trainer(
    loaded: LoadedModel,
    examples: list[SftExample],
    config: TrainSftConfig,
    folder: Path,
    on_step: OnStep,
    reporting: Reporting,
) -> Trainer:
    import datasets
    from transformers import PrinterCallback
    from trl import SFTTrainer

    def rows() -> Iterator[dict[str, list[int]]]:
        for example in examples:
            yield tokenize(loaded.tokenizer, example)

    on_cpu = prepare(loaded, config.seed)
    with ranks.main_first():
        dataset = datasets.Dataset.from_generator(rows, cache_dir=str(folder / "dataset"))
    trainer: Trainer = SFTTrainer(
        model=loaded.model,
        args=_arguments(config, folder, reporting, on_cpu=on_cpu),
        train_dataset=dataset,
        processing_class=loaded.tokenizer,
        peft_config=lora_config(loaded.model, config.lora_rank, config.lora_alpha, sorted(loaded.token_ids.tags)),
        callbacks=[step_callback(on_step), mark_callback()],
    )
    without_bias(trainer.model)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(config: TrainSftConfig, folder: Path, reporting: Reporting, *, on_cpu: bool) -> "SFTConfig":
    from trl import SFTConfig

    per_device, accumulation = ranks.share_batch(config.batch_size, config.per_device_batch_size, "--batch-size")
    return SFTConfig(
        **shared_arguments(folder, config, reporting, on_cpu=on_cpu),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        per_device_train_batch_size=per_device,
        gradient_accumulation_steps=accumulation,
        max_length=config.max_length,
        packing=config.packing,
        packing_strategy="bfd",
        completion_only_loss=True,
    )


def tokenize(tokenizer: Tokenizer, example: SftExample) -> dict[str, list[int]]:
    """Prompt and completion as token ids, closed by end-of-text; the mask is 1 on the completion."""
    prompt, completion = example_ids(tokenizer, example)
    completion = [*completion, end_of_text(tokenizer)]
    return {"input_ids": prompt + completion, "completion_mask": [0] * len(prompt) + [1] * len(completion)}


def _steps(history: Sequence[Logged]) -> list[TrainStep]:
    return [
        TrainStep(step=int(entry["step"]), loss=entry["loss"], learning_rate=entry["learning_rate"])
        for entry in history
        if "loss" in entry
    ]
