"""The OpenAI API's responses as we write them: whole objects and the chunks of a stream.

What OpenAI's API has no word for stands in fields of our own: `author` tells which model wrote a chunk ("small" or
"big"), `degraded` of a choice why the big model was not to be had (null if it was), and `usage.split` what the split
took. The thinking stands in `reasoning_content`, and in `reasoning`, as vLLM calls it today.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ..records.record import JsonObject
from .requests import Channel, Delta, Finished, TokenLogprob, Usage


@dataclass(frozen=True)
class Reply(ABC):
    """One response's header, and how its parts are written. `created` is in seconds since 1970."""

    id: str
    created: int
    model: str
    include_usage: bool = False

    whole_object: ClassVar[str]
    chunk_object: ClassVar[str]

    def whole(self, choices: Mapping[int, Sequence[Delta]], ends: Mapping[int, Finished]) -> JsonObject:
        """The response to a request that did not ask for a stream."""
        written = [
            {"index": i, **self._content(choices[i]), "finish_reason": end.reason, "degraded": end.degraded or None}
            for i, end in sorted(ends.items())
        ]
        return {**self._header(self.whole_object), "choices": written, "usage": usage(e.usage for e in ends.values())}

    def opening(self, index: int) -> list[JsonObject]:
        """The chunks with which a choice starts."""
        return []

    def delta(self, index: int, delta: Delta) -> JsonObject:
        """A chunk of text."""
        return self._chunk({"index": index, **self._piece(index, delta), "finish_reason": None, "author": delta.author})

    def closing(self, index: int, end: Finished) -> JsonObject:
        """The chunk that ends a choice."""
        reason = {"finish_reason": end.reason, "degraded": end.degraded or None}
        return self._chunk({"index": index, **self._nothing(), **reason})

    def usage(self, ends: Iterable[Finished]) -> list[JsonObject]:
        """The last chunk, if the client asked for it."""
        if not self.include_usage:
            return []
        return [{**self._header(self.chunk_object), "choices": [], "usage": usage(end.usage for end in ends)}]

    def _header(self, kind: str) -> JsonObject:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, choice: JsonObject) -> JsonObject:
        return {
            **self._header(self.chunk_object),
            "choices": [choice],
            **({"usage": None} if self.include_usage else {}),
        }

    @abstractmethod
    def _content(self, deltas: Sequence[Delta]) -> JsonObject: ...

    @abstractmethod
    def _piece(self, index: int, delta: Delta) -> JsonObject: ...

    @abstractmethod
    def _nothing(self) -> JsonObject: ...


REASONING = ("reasoning_content", "reasoning")
"""The field of the thinking in clients made for DeepSeek's API and SGLang, and in those made for vLLM."""


class ChatReply(Reply):
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def opening(self, index: int) -> list[JsonObject]:
        first = {"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        return [self._chunk({**first, "logprobs": None})]

    def _content(self, deltas: Sequence[Delta]) -> JsonObject:
        message: JsonObject = {"role": "assistant", "content": _text(deltas, "content")}
        message |= dict.fromkeys(REASONING, _text(deltas, "reasoning") or None)
        return {"message": message, "logprobs": _chat_logprobs(_tokens(deltas))}

    def _piece(self, index: int, delta: Delta) -> JsonObject:
        names = ("content",) if delta.channel == "content" else REASONING
        return {
            "delta": dict.fromkeys(names, delta.text) if delta.text else {},
            "logprobs": _chat_logprobs(delta.logprobs),
        }

    def _nothing(self) -> JsonObject:
        return {"delta": {}, "logprobs": None}


@dataclass(frozen=True)
class CompletionReply(Reply):
    whole_object = "text_completion"
    chunk_object = "text_completion"

    _told: Counter[int] = field(default_factory=Counter)

    def _content(self, deltas: Sequence[Delta]) -> JsonObject:
        return {"text": _text(deltas), "logprobs": _completion_logprobs(_tokens(deltas), 0)}

    def _piece(self, index: int, delta: Delta) -> JsonObject:
        logprobs = _completion_logprobs(delta.logprobs, self._told[index])
        self._told[index] += sum(len(token.text) for token in delta.logprobs)
        return {"text": delta.text, "logprobs": logprobs}

    def _nothing(self) -> JsonObject:
        return {"text": "", "logprobs": None}


def usage(choices: Iterable[Usage]) -> JsonObject:
    """What all choices of a response took together. They share one prompt, which counts once."""
    used = list(choices)
    prompt_tokens = max((one.prompt_tokens for one in used), default=0)
    total = Usage(
        completion_tokens=sum(one.completion_tokens for one in used), big_tokens=sum(one.big_tokens for one in used)
    )
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": total.completion_tokens,
        "total_tokens": prompt_tokens + total.completion_tokens,
        "split": {
            "big_tokens": total.big_tokens,
            "offload_share": total.offload_share,
            "spans": sum(one.spans for one in used),
            "refused": sum(one.refused for one in used),
            "overrun_tokens": sum(one.overrun_tokens for one in used),
            "control_tokens": sum(one.control_tokens for one in used),
            "hand_over_seconds": [seconds for one in used for seconds in one.hand_over_seconds],
        },
    }


def model_list(models: Sequence[str], created: int) -> JsonObject:
    return {"object": "list", "data": [model_card(name, created) for name in models]}


def model_card(name: str, created: int) -> JsonObject:
    return {"id": name, "object": "model", "created": created, "owned_by": "srx"}


def _text(deltas: Sequence[Delta], channel: Channel | None = None) -> str:
    return "".join(delta.text for delta in deltas if channel in (None, delta.channel))


def _tokens(deltas: Sequence[Delta]) -> tuple[TokenLogprob, ...]:
    return tuple(token for delta in deltas for token in delta.logprobs)


def _chat_logprobs(tokens: Sequence[TokenLogprob]) -> JsonObject | None:
    if not tokens:
        return None
    content = [
        {"token": t.text, "logprob": t.logprob, "bytes": list(t.text.encode()), "top_logprobs": []} for t in tokens
    ]
    return {"content": content, "refusal": None}


def _completion_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> JsonObject | None:
    """`offset` counts the characters of the tokens before these."""
    if not tokens:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": None,
        "text_offset": offsets,
    }
