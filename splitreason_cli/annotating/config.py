"""What a user says of an annotation."""

from dataclasses import dataclass
from typing import Literal

from ..layouts.reading import DEFAULT, Reading
from ..models.endpoint import EndpointConfig
from .alignment import AlignConfig

ResponseFormat = Literal["auto", "json_schema", "none"]


@dataclass(frozen=True)
class AnnotateConfig:
    """What decides the result.

    Args:
        annotator: a name of `annotators.named`, maybe with arguments in parentheses.
        small, big: the pair that `surprisal` scores with; of `big`, the same vocabulary.
        threshold: nats by which a token must surprise the small model more.
        model: the chat model that `llm` asks.
        snippets: the file that `snippets` reads.
        tokenizer: the one whose ids `divergent` reads.
        fraction: the largest share of a trace's characters to mark, 0..1.
        reading: which traces a row holds.
        shard: `i/n` keeps the traces whose id falls into the i-th of n parts, counted from 0.
        limit: read at most so many rows; 0 is all.
    """

    annotator: str = "surprisal"
    small: str = "mini-small"
    big: str = "mini-big"
    threshold: float = 0.7
    model: str = ""
    snippets: str = ""
    tokenizer: str = ""
    fraction: float = 0.2
    snap: Literal["word", "line"] = "word"
    min_similarity: float = AlignConfig.min_similarity
    reading: Reading = DEFAULT
    shard: str = "0/1"
    limit: int = 0

    @property
    def alignment(self) -> AlignConfig:
        return AlignConfig(min_similarity=self.min_similarity, snap=self.snap, fraction=self.fraction)


@dataclass(frozen=True)
class Resources:
    """What the result does not depend on: where models are served, how hard they are asked, what it may cost.

    Args:
        endpoints: what is asked: one chat model, or a small and a big model, or nothing.
        max_tokens_total: the tokens that all runs of this command together may spend.
        max_completion_tokens: of one reply, thinking included; None leaves it to the server.
        batch_in: files with what a batch API has answered.
    """

    endpoints: tuple[EndpointConfig, ...] = ()
    response_format: ResponseFormat = "auto"
    max_tokens_total: int | None = None
    max_completion_tokens: int | None = None
    batch_in: tuple[str, ...] = ()


LOCAL = Resources()
"""Nothing beyond this process."""
