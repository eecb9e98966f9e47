"""Load a small or big model: an embedded one, a local folder, or a Hugging Face name. Safetensors only."""

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from ..records import markup
from ..records.prompts import user_message
from ..split.vocabulary import TokenIds
from ..store.digests import folder_digest
from ..store.embedded import EMBEDDED_MODELS
from .protocols import CausalLM, GenerationDefaults, Tokenizer
from .vocabulary import HubVocabulary, share_vocabulary

TOKENIZER_FILES = ["*.json", "*.jinja", "*.txt", "*.model"]
"""What a tokenizer and a model's configuration are read from."""
OTHER_TEMPLATE = "Correct its chat_template.jinja, or give another tokenizer"


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model in evaluation mode with its tokenizer.

    `weights` are None where a server has them; `generation_config` is then that of the model, if it has one.
    """

    name: str
    weights: CausalLM | None
    tokenizer: Tokenizer
    generation_config: GenerationDefaults | None = None

    @property
    def model(self) -> CausalLM:
        """The weights, of a model that was loaded with them."""
        assert self.weights is not None, f"{self.name} was loaded without weights"
        return self.weights

    def prompt_ids(self, problem: str, *, hint: bool) -> list[int]:
        """The chat prompt up to where the model's own text begins; `hint` adds the sentence about the tags."""
        messages = [{"role": "user", "content": user_message(problem, hint=hint)}]
        with template_errors(self.tokenizer):
            return list(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))

    @functools.cached_property
    def token_ids(self) -> TokenIds:
        """The tags and the end-of-text tokens of this model."""
        config = self.generation_config if self.weights is None else self.weights.generation_config
        ends = config.eos_token_id if config else None
        if ends is None:
            ends = self.tokenizer.eos_token_id
        vocabulary = self.tokenizer.get_vocab()
        return TokenIds(
            open=vocabulary.get(markup.OPEN),
            close=vocabulary.get(markup.CLOSE),
            end_of_text=frozenset([ends] if isinstance(ends, int) else ends or []),
        )

    def tag_ids(self) -> tuple[int, int]:
        """The ids of the opening and the closing tag. Raises ModelError if they are no single tokens."""
        open_id, close_id = self.token_ids.open, self.token_ids.close
        if open_id is None or close_id is None:
            hint = "Train it with: srx train sft (--tags special, the default)"
            raise ModelError(f"{self.name}: the tokenizer has no hand-over tags as single tokens", hint)
        return open_id, close_id

    @functools.cached_property
    def vocabulary(self) -> HubVocabulary:
        """What this model's tokens stand for. Raises ModelError if they cannot spell every text."""
        return HubVocabulary(self.name, self.tokenizer)


def text_of(loaded: LoadedModel, ids: Sequence[int]) -> str:
    """The text of token ids, special tokens other than the tags left as they are spelled."""
    return str(loaded.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def resolve_model(reference: str) -> Path:
    """The folder of a model: embedded, local, or downloaded from the Hugging Face hub.

    Raises ModelError if there is no such model, or the folder holds no safetensors weights.
    """
    if reference in EMBEDDED_MODELS:
        return EMBEDDED_MODELS[reference]
    path = Path(reference)
    if path.is_file():
        raise ModelError(f"{reference}: is a file", "Give the folder it lies in")
    if not path.is_dir():
        path = download(reference, [*TOKENIZER_FILES, "*.safetensors"])
    if not (path / "config.json").is_file():
        raise ModelError(f"{reference}: the folder has no config.json", "Give a folder written by save_pretrained")
    if not any(path.glob("*.safetensors")):
        hint = "Only safetensors are loaded; convert with save_pretrained(..., safe_serialization=True)"
        raise ModelError(f"{reference}: the folder has no *.safetensors weights", hint)
    return path


def model_digest(reference: str) -> str:
    """A digest of everything in the model's folder."""
    return folder_digest(resolve_model(reference))


TINY_PARAMETERS = 10_000_000


def load_model(reference: str, device: str = "cpu", *, float32: bool = False) -> LoadedModel:
    """Load weights (float32 on a CPU or if asked for, else in their own precision) and tokenizer.

    Raises ModelError if they do not load, or if the tokenizer has no chat template.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    path = resolve_model(reference)
    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model: CausalLM = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=torch.float32 if float32 or device == "cpu" else "auto",
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{reference}: cannot be loaded ({first_line})", "Check the folder's files") from None
    _require_chat_template(reference, tokenizer)
    if device == "cpu" and model.num_parameters() < TINY_PARAMETERS:
        # Several threads would wait for each other after every small product, most of all on a busy machine.
        torch.set_num_threads(1)
    return LoadedModel(reference, model.to(device).eval(), tokenizer)


def resolve_tokenizer(reference: str) -> Path:
    """The folder of a tokenizer: embedded, local, or downloaded from the Hugging Face hub without any weights.

    Raises ModelError if there is no such folder or name.
    """
    if reference in EMBEDDED_MODELS:
        return EMBEDDED_MODELS[reference]
    path = Path(reference)
    if path.is_file():
        raise ModelError(f"{reference}: is a file", "Give the folder it lies in")
    return path if path.is_dir() else download(reference, TOKENIZER_FILES)


def load_tokenizer(reference: str) -> Tokenizer:
    """Load a tokenizer alone, without reading any weights or running remote code.

    Raises ModelError if it does not load, or has no chat template.
    """
    tokenizer = load_plain_tokenizer(reference)
    _require_chat_template(reference, tokenizer)
    return tokenizer


def load_plain_tokenizer(reference: str) -> Tokenizer:
    """`load_tokenizer` for who asks no chat template of it. Raises ModelError if it does not load."""
    from transformers import AutoTokenizer

    path = resolve_tokenizer(reference)
    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 -- the tokenizers library raises bare ones for a file it cannot use
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "Give a folder with a tokenizer.json and a tokenizer_config.json"
        raise ModelError(f"{reference}: the tokenizer cannot be loaded ({first_line})", hint) from None
    return tokenizer


def load_tokenizer_only(reference: str) -> LoadedModel:
    """What this process needs of a model that a server runs: its tokenizer and its end-of-text tokens.

    Raises ModelError.
    """
    from transformers import GenerationConfig

    tokenizer = load_tokenizer(reference)
    config: GenerationDefaults | None = None
    # Many models have no generation_config.json; their tokenizer then says what ends a text.
    with contextlib.suppress(OSError, ValueError):
        config = GenerationConfig.from_pretrained(resolve_tokenizer(reference))
    return LoadedModel(reference, None, tokenizer, config)


def load_pair(
    small: str, big: str, device: str = "cpu", *, one_vocabulary: bool = True
) -> tuple[LoadedModel, LoadedModel]:
    """Load two models, or one twice named. Raises ModelError if they must share one vocabulary and do not."""
    loaded = load_model(small, device)
    pair = loaded, loaded if big == small else load_model(big, device)
    if one_vocabulary and not share_vocabulary(pair[0].tokenizer, pair[1].tokenizer):
        hint = "Take both from one family, such as two Qwen models"
        raise ModelError(f"{small} and {big} have different vocabularies", hint)
    return pair


def _require_chat_template(reference: str, tokenizer: Tokenizer) -> None:
    if not tokenizer.chat_template:
        raise ModelError(f"{reference}: the tokenizer has no chat template", "Add a chat_template.jinja to the folder")


@contextlib.contextmanager
def template_errors(tokenizer: Tokenizer) -> Iterator[None]:
    """Raises ModelError for whatever a chat template raises, which is its author's program."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- jinja2's own, and those of Python where it calls into that
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{tokenizer.name_or_path}: the chat template fails ({first_line})", OTHER_TEMPLATE) from None


def default_device() -> str:
    """`cuda` where there is one and `accelerate launch --cpu` does not rule it out, else `cpu`."""
    import torch

    wants_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    return "cuda" if torch.cuda.is_available() and not wants_cpu else "cpu"


def download(name: str, patterns: list[str]) -> Path:
    """The local copy of a Hugging Face model's files that match `patterns`. Raises ModelError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        hint = f"Give a folder, a Hugging Face name you can reach, or one of {', '.join(EMBEDDED_MODELS)}"
        raise ModelError(f"{name}: no such model folder, and no download ({type(error).__name__})", hint) from None
