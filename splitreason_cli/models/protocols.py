"""What is used of the tokenizers and the models that Hugging Face's libraries make.

Those libraries are untyped to us: what they return becomes one of these where it is loaded, and has this type from
there on. Only members that something here uses are named.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypedDict, overload

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module, Parameter

Turn = dict[str, str]
"""A message of a chat, with its `role` and its `content`."""


class Encoding(TypedDict, total=False):
    """The tokens of one text; `offset_mapping`, their ranges of its characters, only where asked for."""

    input_ids: list[int]
    offset_mapping: list[tuple[int, int]]


class BackendTokenizer(Protocol):
    """The tokenizer of the `tokenizers` library that a fast one wraps."""

    def to_str(self) -> str: ...
    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]: ...
    def get_added_tokens_decoder(self) -> Mapping[int, "AddedToken"]: ...


class AddedToken(Protocol):
    special: bool


class Encoded(Protocol):
    """A text in tokens."""

    def __len__(self) -> int: ...


class FastTokenizer(Protocol):
    """What a fast tokenizer of transformers is built on."""

    def encode_batch_fast(self, texts: Sequence[str], /, *, add_special_tokens: bool = True) -> Sequence[Encoded]: ...


class Tokenizer(Protocol):
    """A tokenizer of transformers, slow or fast."""

    name_or_path: str
    chat_template: object
    bos_token_id: int | None
    eos_token_id: int | None
    eos_token: str | None
    all_special_ids: list[int]
    is_fast: bool
    backend_tokenizer: FastTokenizer
    """Of a fast one."""

    def __len__(self) -> int: ...

    def __call__(
        self, text: str, *, add_special_tokens: bool = True, return_offsets_mapping: bool = False
    ) -> Encoding: ...

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]: ...

    def decode(
        self,
        token_ids: Sequence[int],
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str: ...

    @overload
    def apply_chat_template(
        self, conversation: Sequence[Turn], *, add_generation_prompt: bool = False, return_dict: Literal[False]
    ) -> list[int]: ...

    @overload
    def apply_chat_template(
        self, conversation: Sequence[Turn], *, add_generation_prompt: bool = False, tokenize: Literal[False]
    ) -> str: ...

    def get_vocab(self) -> dict[str, int]: ...
    def add_tokens(self, new_tokens: list[str], *, special_tokens: bool = False) -> int: ...
    def convert_tokens_to_ids(self, tokens: list[str]) -> list[int]: ...
    def save_pretrained(self, save_directory: Path) -> object: ...


class ModelConfig(Protocol):
    """A causal language model's shape. `layer_types` says how each layer attends, where a model has several ways."""

    max_position_embeddings: int
    num_hidden_layers: int
    tie_word_embeddings: bool


class GenerationDefaults(Protocol):
    """A model's own settings of generation: only what ends its texts is ours to follow."""

    eos_token_id: int | list[int] | None


class Embeddings(Protocol):
    """The table in front of a model, [vocabulary, hidden]."""

    weight: "Parameter"
    num_embeddings: int


class OutputEmbeddings(Embeddings, Protocol):
    """The table behind a model, [vocabulary, hidden]."""

    bias: "Parameter | None"


class Output(Protocol):
    """`logits` are [batch, positions, vocabulary], of the positions that were asked for."""

    logits: "Tensor"


class CausalLM(Protocol):
    """A causal language model of transformers, which is a `torch.nn.Module`."""

    config: ModelConfig
    generation_config: GenerationDefaults
    device: "torch.device"
    dtype: "torch.dtype"
    training: bool
    all_tied_weights_keys: Mapping[str, str]

    def __call__(
        self,
        *,
        input_ids: "Tensor",
        attention_mask: "Tensor",
        position_ids: "Tensor | None" = None,
        past_key_values: object = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
    ) -> Output: ...

    def num_parameters(self) -> int: ...
    def to(self, device: "torch.device | str") -> Self: ...
    def eval(self) -> Self: ...
    def train(self, mode: bool = True) -> Self: ...
    def requires_grad_(self, requires_grad: bool = True) -> Self: ...
    def parameters(self) -> "Iterator[Parameter]": ...
    def modules(self) -> "Iterator[Module]": ...
    def named_modules(self) -> "Iterator[tuple[str, Module]]": ...
    def load_state_dict(self, state_dict: Mapping[str, object]) -> object: ...
    def get_input_embeddings(self) -> Embeddings: ...
    def get_output_embeddings(self) -> OutputEmbeddings: ...
    def resize_token_embeddings(self, new_num_tokens: int) -> object: ...
    def set_attn_implementation(self, attn_implementation: str) -> None: ...
    def gradient_checkpointing_disable(self) -> None: ...
    def save_pretrained(self, save_directory: Path, *, state_dict: "Mapping[str, Tensor] | None" = None) -> object: ...
