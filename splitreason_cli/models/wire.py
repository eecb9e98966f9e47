"""What an OpenAI-compatible server writes about completions: the events of a stream, whole answers, refusals.

Only the fields that are used are parsed; what does not fit raises BackendError with the place that does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, cast

import msgspec

from ..split.signals import Prediction
from .backend import BackendError, Chunk, FinishReason, NextToken, StreamRequest
from .sampling import entropy_of_top


class Logprobs(msgspec.Struct):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None


class Choice(msgspec.Struct):
    index: int = 0
    text: str | None = ""
    token_ids: list[int] | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


TOKEN_KEY = "token_id:"
"""What a token's id follows where a server was told `return_tokens_as_token_ids`."""


class CompletionBody(msgspec.Struct):
    choices: list[Choice] | None = None
    error: object = None


class ModelCard(msgspec.Struct):
    """What a server says of a model at `/v1/models`; `root` and `max_model_len` only vLLM tells."""

    id: str
    root: str | None = None
    max_model_len: int | None = None


class Models(msgspec.Struct):
    data: list[ModelCard]


_message = msgspec.json.Decoder(CompletionBody)
_models = msgspec.json.Decoder(Models)

DONE = b"[DONE]"
"""The data of a stream's last event."""


def parse_choices(data: bytes) -> list[Choice]:
    """The choices of one event or answer, by their index. Raises BackendError, also for an error in their place."""
    try:
        message = _message.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackendError(f"unreadable answer ({error}): {_excerpt(data)}") from None
    if message.error is not None:
        raise BackendError(refusal(data))
    if message.choices is None:
        raise BackendError(f"an answer without choices: {_excerpt(data)}")
    return sorted(message.choices, key=lambda choice: choice.index)


def parse_models(data: bytes) -> list[ModelCard]:
    """The models that a server serves. Raises BackendError."""
    try:
        return _models.decode(data).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackendError(f"unreadable list of models ({error}): {_excerpt(data)}") from None


def refusal(data: bytes) -> str:
    """What a server says is wrong, in one line; the beginning of its answer where that has no known form."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _excerpt(data)
    while isinstance(body, dict):
        body = body.get("error") or body.get("message") or body.get("detail") or str(body)
    return " ".join(str(body).split())[:300]


class ChunkReader(Protocol):
    """What becomes of the events of one stream."""

    def read(self, events: Iterable[bytes]) -> Chunk:
        """All tokens of some events as one chunk, which may be empty. Raises BackendError."""


@dataclass
class StreamReader:
    """Turns the events of one stream into chunks, and holds the server to what it was asked for."""

    request: StreamRequest
    _tokens: int = field(init=False, default=0)

    def read(self, events: Iterable[bytes]) -> Chunk:
        """All tokens of some events as one chunk, which may be empty. Raises BackendError."""
        ids: list[int] = []
        logprobs: list[float] = []
        predictions: list[Prediction] = []
        reason: str | None = None
        for data in events:
            if data == DONE:
                break
            for choice in parse_choices(data):
                ids += self._ids(choice)
                logprobs += self._logprobs(choice)
                predictions += self._predictions(choice)
                reason = choice.finish_reason or reason
        self._tokens += len(ids)
        if ids and ids[-1] in self.request.stop:
            reason = "stop"
        self._check(ids, reason)
        finish_reason = cast(FinishReason | None, reason)
        return Chunk(tuple(ids), tuple(logprobs) if self.request.logprobs else None, finish_reason, tuple(predictions))

    def _ids(self, choice: Choice) -> list[int]:
        if choice.token_ids is None and (choice.text or choice.finish_reason):
            raise BackendError("the answer has no token_ids; the server does not know return_token_ids")
        return choice.token_ids or []

    def _logprobs(self, choice: Choice) -> list[float]:
        if not self.request.logprobs or not choice.token_ids:
            return []
        found = [] if choice.logprobs is None else [x for x in choice.logprobs.token_logprobs if x is not None]
        if len(found) != len(choice.token_ids):
            raise BackendError(f"{len(choice.token_ids)} tokens came with {len(found)} log-probabilities")
        return found

    def _predictions(self, choice: Choice) -> list[Prediction]:
        if not self.request.predictions or not choice.token_ids:
            return []
        found = [] if choice.logprobs is None else [top for top in choice.logprobs.top_logprobs or [] if top]
        if len(found) != len(choice.token_ids):
            raise BackendError(f"{len(choice.token_ids)} tokens came with {len(found)} sets of log-probabilities")
        return [_prediction(top) for top in found]

    def _check(self, ids: list[int], reason: str | None) -> None:
        request = self.request
        if reason not in (None, "stop", "length"):
            raise BackendError(f"the server ended the stream with finish_reason {reason!r}")
        if self._tokens > request.max_tokens:
            raise BackendError(f"the server wrote {self._tokens} tokens, max_tokens is {request.max_tokens}")
        if not request.forbid.isdisjoint(ids):
            raise BackendError(f"the server wrote the forbidden token {min(request.forbid.intersection(ids))}")
        if reason == "stop" and (not ids or ids[-1] not in request.stop):
            raise BackendError("the server stopped without one of the stop tokens")
        if not request.stop.isdisjoint(ids[:-1]):
            raise BackendError("the server went on after a stop token")


def parse_next_tokens(data: bytes, token: int, contexts: int) -> list[NextToken]:
    """What a request with `logprob_token_ids` and `return_tokens_as_token_ids` says of `token`. Raises BackendError."""
    choices = parse_choices(data)
    if len(choices) != contexts:
        raise BackendError(f"{contexts} contexts were answered with {len(choices)} choices")
    return [_next_token(choice, f"{TOKEN_KEY}{token}") for choice in choices]


def _prediction(top: dict[str, float]) -> Prediction:
    try:
        found = [(int(key.removeprefix(TOKEN_KEY)), logprob) for key, logprob in top.items()]
    except ValueError:
        raise BackendError(f"log-probabilities of {next(iter(top))!r}, which is no token id") from None
    likeliest = sorted(found, key=lambda pair: -pair[1])
    return Prediction(entropy_of_top(list(top.values())), tuple(likeliest))


def _next_token(choice: Choice, key: str) -> NextToken:
    logprobs = choice.logprobs
    if logprobs is None or not logprobs.tokens or not logprobs.top_logprobs:
        raise BackendError("the answer has no log-probabilities")
    found = (logprobs.top_logprobs[0] or {}).get(key)
    if found is None:
        raise BackendError(f"no log-probability of {key}; the server does not know logprob_token_ids")
    return NextToken(found, is_argmax=logprobs.tokens[0] == key)


def _excerpt(data: bytes) -> str:
    return repr(" ".join(data[:200].decode("utf-8", "replace").split()))
