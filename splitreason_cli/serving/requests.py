"""What a client asks of the served pair and what it gets: the vocabulary between the HTTP API and the engine."""

import statistics
from dataclasses import dataclass, field
from typing import Literal

from ..records.data import Author, Message

Channel = Literal["reasoning", "content"]
"""Before the end of thinking, or after it. What continues a plain prompt is all content."""


class RequestError(ValueError):
    """A request that the served pair cannot fulfil, such as an unknown policy or a prompt that does not fit.

    Args:
        message: what is wrong and what was expected; the client reads it.
        param: the field of the request that is to blame.
        code: a word for programs, such as `context_length_exceeded`.
    """

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


@dataclass(frozen=True)
class GenerationRequest:
    """One completion to generate. Exactly one of `messages` and `prompt` is given.

    Args:
        prompt: text that the models continue as it stands (the completions endpoint).
        max_tokens: of the completion, tags not counted; None for the server's default.
        stop: texts that end the completion and are not part of it.
        offload_budget: cap on big tokens / all tokens of this completion, 0..1; None for the server's default.
        policy: a policy by name, such as `learned` or `relay(16)`; None for the server's default.
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    offload_budget: float | None = None
    policy: str | None = None
    show_tags: bool = False


@dataclass(frozen=True)
class TokenLogprob:
    """One token's text and natural-log probability, by the model that wrote it."""

    text: str
    logprob: float


@dataclass(frozen=True)
class Delta:
    """A piece of text that is final, and who wrote it. `text` may be empty where only `logprobs` are left to report."""

    text: str
    author: Author
    channel: Channel
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What one completion took.

    Tokens are those of the completion without tags and end-of-text. `hand_over_seconds` holds, for each span, the time
    from the hand-over to the big model's first token. `overrun_tokens` are big tokens thrown away because the small
    model had taken back before them, `control_tokens` small tokens decoded only to look for the closing tag.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    big_tokens: int = 0
    spans: int = 0
    refused: int = 0
    overrun_tokens: int = 0
    control_tokens: int = 0
    hand_over_seconds: tuple[float, ...] = ()

    @property
    def offload_share(self) -> float:
        """Big tokens / completion tokens; 0 without any."""
        return self.big_tokens / self.completion_tokens if self.completion_tokens else 0.0


@dataclass(frozen=True)
class Finished:
    """The end of a completion. `degraded` says what the big model failed at, if it did; empty otherwise."""

    reason: Literal["stop", "length"]
    usage: Usage = field(default_factory=Usage)
    degraded: str = ""


def describe(end: Finished, seconds: float) -> str:
    """A completion that took so long, in one line for a log. Says nothing of what was written."""
    used = end.usage
    spans = f"{used.spans} span" if used.spans == 1 else f"{used.spans} spans"
    parts = [
        f"{used.completion_tokens:,} tokens in {seconds:.2f} s",
        f"{used.big_tokens:,} of the big model ({used.offload_share:.1%}) in {spans}",
        f"{used.control_tokens} control, {used.overrun_tokens} overrun, {used.refused} refused",
    ]
    if used.hand_over_seconds:
        parts.append(f"hand-over {1000 * statistics.median(used.hand_over_seconds):.0f} ms")
    if end.degraded:
        parts.append(f"degraded: {end.degraded}")
    return ", ".join(parts)
