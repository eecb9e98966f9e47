"""The card of a trained model, as the Hugging Face hub wants it: what the run itself leaves in the folder."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from .. import __version__
from ..store.artifacts import Recipe
from ..store.embedded import EMBEDDED_MODELS
from . import model_card
from .model_card import TrainingRun

CARD = "README.md"
PACKAGES = ("torch", "transformers", "trl", "peft")


def write_card(folder: Path, method: str, recipe: Recipe, measures: Mapping[str, float]) -> None:
    """Put the card of a trained model into its folder.

    Args:
        method: `sft` or `grpo`. measures: as of `training.model_card`.
    """
    from huggingface_hub import ModelCard, ModelCardData

    config = {name: published(value) for name, value in recipe.config.items()}
    versions = {"srx": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    data = ModelCardData(
        base_model=str(config["model"]),
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["splitreason", "trl", method],
    )
    text = model_card.body(TrainingRun(method, config, recipe.inputs, versions, measures))
    (folder / CARD).write_text(str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}")), "utf-8")


def published(value: object) -> object:
    """A setting as strangers may see it: of a folder only its last name, of a server only that it is one."""
    if not isinstance(value, str) or value in EMBEDDED_MODELS:
        return value
    if "://" in value:
        return "a server"
    return Path(value).resolve().name if Path(value).is_dir() else value
