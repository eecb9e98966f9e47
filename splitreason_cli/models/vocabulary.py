"""The vocabularies of Hugging Face tokenizers: what each token stands for as bytes, and text inside a longer one."""

import json
import re
from collections.abc import Iterator
from typing import Literal, Required, TypedDict

from ..errors import ModelError
from ..records import markup
from ..split.vocabulary import bytes_of
from .protocols import BackendTokenizer, Tokenizer

_SPACE = "▁"
_HINT = "Use tokenizers with byte-level BPE (Qwen, Llama 3, GPT-2) or byte fallback (Llama 2, Gemma), or one for both"
_SAMPLE = "So  x² = 12.5,\n\tand 'it' is — naïve! 你好 🙂"


class Component(TypedDict, total=False):
    """A part of a tokenizer's settings as `tokenizers` writes it. A sequence holds others under one of the names."""

    type: Required[str]
    normalizers: list["Component"]
    pretokenizers: list["Component"]
    decoders: list["Component"]
    add_prefix_space: bool
    prepend_scheme: str
    pattern: dict[str, str]
    content: str


class Algorithm(TypedDict, total=False):
    """How a tokenizer cuts words; the marks are texts that it puts at the pieces of a word."""

    type: Required[str]
    continuing_subword_prefix: str | None
    end_of_word_suffix: str | None
    byte_fallback: bool


class Settings(TypedDict):
    """A tokenizer's settings, as in tokenizer.json."""

    model: Algorithm
    normalizer: Component | None
    pre_tokenizer: Component | None
    decoder: Component | None
    post_processor: object
    truncation: object
    padding: object


_Sequence = Literal["normalizers", "pretokenizers", "decoders"]
_SEQUENCES: tuple[_Sequence, ...] = ("normalizers", "pretokenizers", "decoders")


class HubVocabulary:
    """A fast tokenizer as a `split.vocabulary.Vocabulary`.

    Two kinds spell any text: byte-level BPE, whose tokens are written in GPT-2's alphabet of bytes, and byte fallback,
    whose tokens are text with `▁` for spaces, and `<0xE2>` for bytes. Raises ModelError for any other.
    """

    def __init__(self, name: str, tokenizer: Tokenizer) -> None:
        from tokenizers import Tokenizer

        backend = _backend(name, tokenizer)
        settings: Settings = json.loads(backend.to_str())
        byte_level = _has(settings["decoder"], "ByteLevel")
        vocabulary = backend.get_vocab(with_added_tokens=True)
        self._bytes = spellings(name, tokenizer)
        self._byte_tokens = _byte_tokens(name, vocabulary, byte_level)
        self._control = {token for token, entry in backend.get_added_tokens_decoder().items() if entry.special}
        self._control |= {vocabulary[tag] for tag in (markup.OPEN, markup.CLOSE) if tag in vocabulary}
        self._tokenizer = Tokenizer.from_str(json.dumps(_inside_a_text(settings, byte_level)))
        # Text that happens to spell a control token is no control token.
        self._tokenizer.encode_special_tokens = True
        if bytes_of(self, self.encode(_SAMPLE)) != _SAMPLE.encode():
            raise ModelError(f"{name}: the tokens of a text do not spell it", _HINT)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [] if self._control.intersection(ids) else ids

    def token_bytes(self, token: int) -> bytes:
        return self._bytes.get(token, b"")

    def byte_token(self, byte: int) -> int:
        return self._byte_tokens[byte]


def spellings(name: str, tokenizer: Tokenizer) -> dict[int, bytes]:
    """What each token of a fast tokenizer stands for; part of a character for some. Raises ModelError."""
    backend = _backend(name, tokenizer)
    settings: Settings = json.loads(backend.to_str())
    _require_known_kind(name, settings)
    byte_level, added = _has(settings["decoder"], "ByteLevel"), backend.get_added_tokens_decoder()
    spell = _spell_byte_level if byte_level else _spell_byte_fallback
    vocabulary = backend.get_vocab(with_added_tokens=True)
    return {token: spell(text, byte_level and token in added) for text, token in vocabulary.items()}


def share_vocabulary(small: Tokenizer, big: Tokenizer) -> bool:
    """Whether two tokenizers give the same tokens the same ids, the hand-over tags aside."""
    ids = small.get_vocab(), big.get_vocab()
    if (ids[0].keys() ^ ids[1].keys()) - {markup.OPEN, markup.CLOSE}:
        return False
    return all(ids[0][token] == ids[1][token] for token in ids[0].keys() & ids[1].keys())


def _backend(name: str, tokenizer: Tokenizer) -> BackendTokenizer:
    backend: BackendTokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(f"{name}: not a fast tokenizer", _HINT)
    return backend


def _require_known_kind(name: str, settings: Settings) -> None:
    model, decoder = settings["model"], settings["decoder"]
    marked = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    falls_back = model.get("byte_fallback") and _has(decoder, "ByteFallback")
    if marked or not (_has(decoder, "ByteLevel") or falls_back):
        raise ModelError(f"{name}: a {model['type']} tokenizer that cannot spell every text", _HINT)


def _inside_a_text(settings: Settings, byte_level: bool) -> Settings:
    """The settings without what a tokenizer does to a whole text: normalize it, add a space before it."""
    inside = settings.copy()
    inside |= {"truncation": None, "padding": None, "post_processor": None, "normalizer": None}
    if not byte_level:
        inside["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    for part in _parts(inside["pre_tokenizer"]):
        if part["type"] == "ByteLevel":
            part["add_prefix_space"] = False
        elif part["type"] == "Metaspace":
            part["prepend_scheme"] = "never"
    return inside


def _parts(component: Component | None) -> Iterator[Component]:
    """A normalizer, pre-tokenizer or decoder and those it is a sequence of."""
    if component:
        yield component
        for kind in _SEQUENCES:
            for part in component.get(kind, []):
                yield from _parts(part)


def _has(component: Component | None, kind: str) -> bool:
    return any(part["type"] == kind for part in _parts(component))


def _byte_tokens(name: str, vocabulary: dict[str, int], byte_level: bool) -> list[int]:
    spelled = [_CHARACTERS[byte] if byte_level else f"<0x{byte:02X}>" for byte in range(256)]
    if missing := [text for text in spelled if text not in vocabulary]:
        raise ModelError(f"{name}: the tokenizer has no token for {len(missing)} of the 256 bytes", _HINT)
    return [vocabulary[text] for text in spelled]


def _byte_characters() -> list[str]:
    """GPT-2's alphabet: bytes that print in Latin-1 are their own characters, the others follow from U+0100 on."""
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in prints else next(others)) for byte in range(0x100)]


_CHARACTERS = _byte_characters()
_BYTES = {character: byte for byte, character in enumerate(_CHARACTERS)}


def _spell_byte_level(text: str, added: bool) -> bytes:
    # Added tokens are spelled as the text they are found in.
    if added or any(character not in _BYTES for character in text):
        return text.encode()
    return bytes(_BYTES[character] for character in text)


def _spell_byte_fallback(text: str, added: bool) -> bytes:
    byte = re.fullmatch("<0x([0-9A-F]{2})>", text)
    return bytes.fromhex(byte[1]) if byte else text.replace(_SPACE, " ").encode()
