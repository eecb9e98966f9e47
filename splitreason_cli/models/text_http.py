"""A model behind a server that takes and returns text only, such as a hosted API, as the big model of a pair.

What is lost against token ids, which is why vLLM is the first choice:
- The returned text is encoded piece by piece, so its tokens may be others than those the model chose, and their number
  too; a stream is cut where they reach `max_tokens`.
- Which token ended the text is not known: it is taken to be the tokenizer's end of text.
- Nothing can be forbidden: a forbidden token in the text is a BackendError.
- There are no log-probabilities and no `next_token`, so the small model of a pair cannot be served this way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ..records.record import JsonObject
from .backend import BackendError, Chunk, NextToken, Served, StreamRequest
from .protocols import Tokenizer
from .vllm_http import CompletionsBackend, CompletionsSession, ServerAddress
from .wire import DONE, ChunkReader, parse_choices


@dataclass
class TextBackend(CompletionsBackend):
    """See `CompletionsBackend`. `tokenizer` is the pair's, from transformers."""

    has_logprobs: ClassVar[bool] = False

    tokenizer: Tokenizer = field(kw_only=True, repr=False)

    @classmethod
    def of(cls, served: Served) -> "TextBackend":
        """The backend of a model at URLs. Raises UsageError."""
        return cls(served.urls, served.model, served.api_key, served.timeouts, tokenizer=served.tokenizer.tokenizer)

    def session(self) -> "TextSession":
        """A new session, on the server that has the fewest of those that are not down."""
        return TextSession(self, self.pick(), self.tokenizer)

    async def warm_up(self) -> None:
        """Nothing: what a hosted model needs is its host's affair."""


class TextSession(CompletionsSession):
    def __init__(self, backend: CompletionsBackend, server: ServerAddress, tokenizer: Tokenizer) -> None:
        super().__init__(backend, server)
        self._tokenizer = tokenizer

    async def prefill(self, ids: Sequence[int]) -> None:
        """Nothing: a host charges for what it reads."""

    async def next_token(self, contexts: Sequence[Sequence[int]], token: int) -> list[NextToken]:
        """Raises BackendError: text does not tell."""
        raise BackendError(f"{self.url}: a server without token ids does not tell how likely a token is")

    def _reader(self, request: StreamRequest) -> ChunkReader:
        if request.logprobs or request.predictions:
            raise BackendError(f"{self.url}: a server without token ids has no log-probabilities of them")
        return TextReader(self._tokenizer, request)

    def _body(self, ids: Sequence[int], request: StreamRequest) -> JsonObject:
        sampling = request.sampling
        # The server puts its own beginning of text before the prompt.
        start = 1 if ids and ids[0] == self._tokenizer.bos_token_id else 0
        body: JsonObject = {
            "model": self._backend.model,
            "prompt": self._tokenizer.decode(ids[start:], skip_special_tokens=False),
            "max_tokens": request.max_tokens,
            "stream": True,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        if request.seed is not None:
            body["seed"] = request.seed
        return body


@dataclass
class TextReader:
    """Encodes the text of one stream."""

    tokenizer: Tokenizer
    request: StreamRequest
    _tokens: int = field(init=False, default=0)

    def read(self, events: Iterable[bytes]) -> Chunk:
        """The tokens of some events' text as one chunk, which may be empty. Raises BackendError."""
        choices = [choice for data in events if data != DONE for choice in parse_choices(data)]
        ids: list[int] = []
        if text := "".join(choice.text or "" for choice in choices):
            ids = list(self.tokenizer.encode(text, add_special_tokens=False))
        reason = next((choice.finish_reason for choice in choices if choice.finish_reason), None)
        if reason not in (None, "stop", "length"):
            raise BackendError(f"the server ended the stream with finish_reason {reason!r}")
        if reason == "stop" and not self.request.stop.intersection(ids):
            ids.append(self._end_of_text())
        # In text a control token is one only by its spelling, which is reason enough to stop there.
        if at := [i for i, token in enumerate(ids) if token in self.request.stop]:
            del ids[at[0] + 1 :]
        del ids[self.request.max_tokens - self._tokens :]
        self._tokens += len(ids)
        if not self.request.forbid.isdisjoint(ids):
            raise BackendError(f"the server wrote the forbidden token {min(self.request.forbid.intersection(ids))}")
        if ids and ids[-1] in self.request.stop:
            return Chunk(tuple(ids), finish_reason="stop")
        is_full = reason is not None or self._tokens >= self.request.max_tokens
        return Chunk(tuple(ids), finish_reason="length" if is_full else None)

    def _end_of_text(self) -> int:
        end = self.tokenizer.eos_token_id
        if end not in self.request.stop:
            raise BackendError("the server stopped, but the tokenizer's end of text is none of the stop tokens")
        return int(end)
