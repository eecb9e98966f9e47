"""The pair: two models that write one completion, and all that both sides of it have to agree on."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..records.data import Author
from ..split.budget import Budget, OffloadBudget
from ..split.controller import SplitController
from ..split.limits import Limits
from ..split.policies.base import Policy, TextOf
from ..split.vocabulary import TokenIds, Vocabulary, bytes_of
from .loading import LoadedModel, text_of
from .vocabulary import share_vocabulary


@dataclass(frozen=True)
class Pair:
    """A small and a big model, loaded or served. Make it with `Pair.of`.

    Attributes:
        hint: tell the small model about the tags; it must have been trained so.
        tokens: the control tokens of each model.
        vocabularies: of two models with different tokens; None if they share one.
    """

    small: LoadedModel
    big: LoadedModel
    hint: bool
    tokens: Mapping[Author, TokenIds]
    vocabularies: Mapping[Author, Vocabulary] | None

    @classmethod
    def of(cls, small: LoadedModel, big: LoadedModel, *, hint: bool, big_knows_tags: bool = True) -> "Pair":
        """The pair of two models.

        Args:
            big_knows_tags: with one vocabulary, the big model has the small one's tags too, and is forbidden to write
                them. A server refuses a request that forbids tokens which its model has not.

        Raises ModelError if their vocabularies differ and one cannot spell every text.
        """
        if not share_vocabulary(small.tokenizer, big.tokenizer):
            tokens: dict[Author, TokenIds] = {"small": small.token_ids, "big": big.token_ids}
            return cls(small, big, hint, tokens, {"small": small.vocabulary, "big": big.vocabulary})
        # Each model ends a text by its own tokens.
        ends = replace(small.token_ids, end_of_text=big.token_ids.end_of_text) if big_knows_tags else big.token_ids
        return cls(small, big, hint, {"small": small.token_ids, "big": ends}, None)

    @property
    def models(self) -> Mapping[Author, LoadedModel]:
        return {"small": self.small, "big": self.big}

    @functools.cached_property
    def decode(self) -> Mapping[Author, TextOf]:
        """The text of each model's token ids. With one vocabulary the small model's tokenizer reads both."""
        big = self.small if self.vocabularies is None else self.big
        return {"small": functools.partial(text_of, self.small), "big": functools.partial(text_of, big)}

    def prompts(self, problem: str) -> dict[Author, list[int]]:
        """The prompt of each model. Only the small one's may speak of the tags."""
        return {
            "small": self.small.prompt_ids(problem, hint=self.hint),
            "big": self.big.prompt_ids(problem, hint=False),
        }

    def controller(
        self, prompts: Mapping[Author, Sequence[int]], policy: Policy, limits: Limits, budget: Budget | None = None
    ) -> SplitController:
        """What decides about one completion of this pair. Whoever takes it ends it, see `SplitController`."""
        return SplitController(
            small_prompt=prompts["small"],
            big_prompt=prompts["big"],
            tokens=self.tokens,
            policy=policy,
            limits=limits,
            budget=budget or OffloadBudget(),
            vocabularies=self.vocabularies,
            decode=self.decode,
        )

    def text(self, controller: SplitController) -> str:
        """The text of a completion, special tokens as they are spelled."""
        if self.vocabularies is None:
            return self.decode["small"](controller.completion)
        pieces = [bytes_of(self.vocabularies[author], ids) for author, ids in controller.segments]
        return b"".join(pieces).decode("utf-8", "replace")
