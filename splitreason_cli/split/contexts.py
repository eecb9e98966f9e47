"""What each model must have read: its own tokens as it wrote them, and what the other one wrote.

With one vocabulary the reader gets the writer's ids. With two it gets their text in its own ids, a word behind the
writer, so that a word is not cut where the writer's tokens happen to end; at a hand-over the rest follows, to the byte.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..records.data import Author
from .vocabulary import Vocabulary, ids_of, split_settled


class TurnReading(Protocol):
    """How one model's context follows the other one's turn. Offsets count the writer's tokens of this turn."""

    def begin(self) -> None:
        """A turn of the writer starts behind what the context holds."""
        ...

    def read(self, token: int) -> None:
        """The writer wrote a token."""
        ...

    def at(self, offset: int, after: int) -> list[int]:
        """The context if the turn ended after `offset` tokens, without its first `after` ones, which are settled."""
        ...

    def settled(self, offset: int) -> int:
        """How many tokens of the context stay if the turn goes on for `offset` tokens at least."""
        ...

    def settle(self, offset: int) -> None:
        """The turn ends after `offset` tokens; what lies beyond leaves the context again."""
        ...


class SameIds:
    """The reading of a model that shares the writer's vocabulary."""

    def __init__(self, context: list[int]) -> None:
        self._context = context
        self.begin()

    def begin(self) -> None:
        self._start = len(self._context)

    def read(self, token: int) -> None:
        self._context.append(token)

    def at(self, offset: int, after: int) -> list[int]:
        return self._context[after : self._start + offset]

    def settled(self, offset: int) -> int:
        return self._start + offset

    def settle(self, offset: int) -> None:
        del self._context[self._start + offset :]


class Translated:
    """The reading of a model with a vocabulary of its own.

    The context holds the settled part of the turn only, so it just grows. `at` and `settle` add what is held back, an
    incomplete character as single bytes: the next writer may complete it.
    """

    def __init__(self, context: list[int], writer: Vocabulary, reader: Vocabulary) -> None:
        self._context, self._writer, self._reader = context, writer, reader
        self.begin()

    def begin(self) -> None:
        # For each offset: the length of the context, and the bytes that are held back.
        self._places = [(len(self._context), b"")]

    def read(self, token: int) -> None:
        settled, held = split_settled(self._places[-1][1] + self._writer.token_bytes(token))
        self._context += ids_of(self._reader, settled)
        self._places.append((len(self._context), held))

    def at(self, offset: int, after: int) -> list[int]:
        length, held = self._places[offset]
        return self._context[after:length] + ids_of(self._reader, held)

    def settled(self, offset: int) -> int:
        return self._places[offset][0]

    def settle(self, offset: int) -> None:
        length, held = self._places[offset]
        self._context[length:] = ids_of(self._reader, held)


class Contexts:
    """Both models' contexts, in turns: the small model writes, and the big one in spans.

    Args:
        vocabularies: None if the models share one.

    Attributes:
        ids: each model's context. Whoever writes has all of its own; the reader may be some text behind.
        plain: the text so far in the small model's ids, without prompt and tags, up to the current span.
    """

    def __init__(
        self,
        small_prompt: Sequence[int],
        big_prompt: Sequence[int],
        vocabularies: Mapping[Author, Vocabulary] | None = None,
    ) -> None:
        small, big = list(small_prompt), list(big_prompt)
        self.ids: dict[Author, list[int]] = {"small": small, "big": big}
        self.plain: list[int] = []
        self._by_small: TurnReading = SameIds(small)
        self._by_big: TurnReading = SameIds(big)
        if vocabularies:
            self._by_small = Translated(small, vocabularies["big"], vocabularies["small"])
            self._by_big = Translated(big, vocabularies["small"], vocabularies["big"])
        self._turn_tokens = 0
        self._span_start = {author: len(ids) for author, ids in self.ids.items()}

    def small_wrote(self, token: int) -> None:
        self.ids["small"].append(token)
        self.plain.append(token)
        self._by_big.read(token)
        self._turn_tokens += 1

    def big_wrote(self, token: int) -> None:
        self.ids["big"].append(token)
        self._by_small.read(token)

    def small_at(self, offset: int, after: int) -> list[int]:
        """What the small model has read after the span's first `offset` big tokens, without its first `after` ones."""
        return self._by_small.at(offset, after)

    def settled(self, author: Author, offset: int) -> int:
        """How many tokens of a context stay if the span goes on for `offset` big tokens at least."""
        return self._span_start["big"] + offset if author == "big" else self._by_small.settled(offset)

    def end_small_turn(self) -> None:
        """The big model reads all that the small one wrote."""
        self._by_big.settle(self._turn_tokens)
        self._by_big.begin()
        self._turn_tokens = 0

    def open_span(self, tag: int | None) -> None:
        """The big model writes next. The small one wrote `tag`, which only it reads."""
        self.end_small_turn()
        if tag is not None:
            self.ids["small"].append(tag)
        self._by_small.begin()
        self._span_start = {author: len(ids) for author, ids in self.ids.items()}

    def close_span(self, tokens: int, tag: int | None) -> None:
        """The span ends after `tokens` big tokens and `tag`; what lies beyond leaves both contexts."""
        del self.ids["big"][self._span_start["big"] + tokens :]
        self._by_small.settle(tokens)
        self.plain += self.ids["small"][self._span_start["small"] :]
        if tag is not None:
            self.ids["small"].append(tag)
        self._by_big.begin()
