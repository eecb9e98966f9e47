"""Two vocabularies and one text: tokens of one model as tokens of another.

Token ids are the truth. A model's own ids are never tokenized again; the other model reads the bytes they stand for in
its own tokens, appended to what it has read. So a token boundary stands at every hand-over, as it does between two
models of one vocabulary: after "12" a "3" stays a token of its own even where "123" would be one. Models read such
text, they only would have written it otherwise.
"""

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

LONGEST_WAIT = 64
"""How many characters may be held back in the hope of a place between two words."""

_BETWEEN_WORDS = re.compile(r"(?<=\S)(?= )|(?<=\S\n)(?=\S)")


@dataclass(frozen=True)
class TokenIds:
    """The control tokens of a vocabulary. `open` and `close` are None where a tokenizer has no such token."""

    open: int | None
    close: int | None
    end_of_text: frozenset[int]

    @property
    def tags(self) -> frozenset[int]:
        return frozenset(tag for tag in (self.open, self.close) if tag is not None)


class Vocabulary(Protocol):
    """What the tokens of a model mean as bytes."""

    def encode(self, text: str) -> list[int]:
        """The usual tokens of a piece from inside a longer text: nothing added, no control token found in it.

        They may stand for something else, as with a tokenizer that normalizes; `ids_of` then finds others.
        """
        ...

    def token_bytes(self, token: int) -> bytes:
        """What a token stands for; part of a character for some, nothing for an unknown id."""
        ...

    def byte_token(self, byte: int) -> int:
        """The token that stands for one byte, 0..255."""
        ...


def bytes_of(vocabulary: Vocabulary, ids: Iterable[int]) -> bytes:
    """What these tokens stand for. May begin or end within a character."""
    return b"".join(map(vocabulary.token_bytes, ids))


def ids_of(vocabulary: Vocabulary, data: bytes) -> list[int]:
    """Tokens that stand for exactly these bytes: the usual ones of what is text, one for each byte of what is not."""
    ids: list[int] = []
    for piece in re.findall("[\udc80-\udcff]+|[^\udc80-\udcff]+", data.decode("utf-8", "surrogateescape")):
        if "\udc80" <= piece[0] <= "\udcff":
            ids += map(vocabulary.byte_token, piece.encode("utf-8", "surrogateescape"))
        else:
            ids += _text_ids(vocabulary, piece)
    return ids


def _text_ids(vocabulary: Vocabulary, text: str) -> list[int]:
    ids = vocabulary.encode(text)
    if bytes_of(vocabulary, ids) == text.encode():
        return ids
    if len(text) == 1:
        return [vocabulary.byte_token(byte) for byte in text.encode()]
    middle = len(text) // 2
    return _text_ids(vocabulary, text[:middle]) + _text_ids(vocabulary, text[middle:])


def split_settled(data: bytes) -> tuple[bytes, bytes]:
    """Cut at the last place between two words: (what stands before it, what is held back).

    Tokenizers start a new token there, whatever follows: in front of a space behind a word, and behind a single line
    break. An incomplete character is always held back, text up to `LONGEST_WAIT` characters.
    """
    text, _ = codecs.utf_8_decode(data, "surrogateescape", False)
    place = max((match.start() for match in _BETWEEN_WORDS.finditer(text)), default=0)
    if len(text) - place > LONGEST_WAIT:
        place = len(text)
    settled = len(text[:place].encode("utf-8", "surrogateescape"))
    return data[:settled], data[settled:]
