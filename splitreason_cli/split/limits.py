"""How long a completion may get, and the room that contexts keep."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..records.data import Author


@dataclass(frozen=True)
class Limits:
    """`max_tokens` bounds the completion without tags, `max_span_tokens` one span (None: only by the completion).

    `context_tokens` is what a model reads at most, prompt and tags included; without an entry there is no such limit.
    """

    max_tokens: int
    max_span_tokens: int | None = None
    context_tokens: Mapping[Author, int] = field(default_factory=dict)


TAGS_OF_SPAN = 2
PROBE_TOKENS = 1
"""Room that a context keeps for the token that a server decodes to tell the probability of the closing tag."""

TRANSLATION_TOKENS = 64
"""Room that a context keeps for the other model's text, which may take more tokens in its own vocabulary."""

LEAST_ROOM_TOKENS = TRANSLATION_TOKENS + 16
"""What a prompt must leave free in a context, so that something can be written."""
