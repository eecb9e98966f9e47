"""The OpenAI API's requests as we read them, and its errors.

What we cannot do is refused by name instead of being ignored: a client that asks for tools and gets prose would not
know why. Fields that nobody knows, and those that change nothing about the completion, are ignored.
"""

import difflib
import re
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from ..records.data import JsonObject, Message
from ..split.budget import parse_share
from .requests import GenerationRequest, RequestError

MAX_STOPS = 4
MAX_STOP_CHARACTERS = 1000

_ROLES = ("system", "user", "assistant")


class ApiError(Exception):
    """An answer that is no success, in OpenAI's format."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.retry_after_seconds = retry_after_seconds

    def to_dict(self) -> JsonObject:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class RequestLimits:
    """What a server takes. `max_tokens` bounds what a client may ask for; None for no bound but the engine's own."""

    models: tuple[str, ...]
    max_n: int = 8
    max_tokens: int | None = None
    default_max_tokens: int | None = None


@dataclass(frozen=True)
class ApiRequest:
    """A request that was understood: `generations` holds one item for each of the `n` choices."""

    model: str
    generations: tuple[GenerationRequest, ...]
    stream: bool = False
    include_usage: bool = False


Count = Annotated[int, Meta(ge=1)]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Body(msgspec.Struct):
    model: str
    max_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    # So far from the ends of 64 bits that a seed for each choice fits beside it.
    seed: Annotated[int, Meta(ge=-(2**62), le=2**62)] | None = None
    stop: str | list[str] | None = None
    n: Count | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    offload_budget: float | str | None = None
    policy: str | None = None
    show_tags: bool | None = None


class _TextPart(msgspec.Struct):
    type: str
    text: str = ""


class _Turn(msgspec.Struct):
    role: str
    content: str | list[_TextPart] | None = None
    tool_calls: object = None
    function_call: object = None


class _ChatBody(_Body, kw_only=True):
    messages: Annotated[list[_Turn], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None


class _CompletionBody(_Body, kw_only=True):
    prompt: object
    logprobs: Annotated[int, Meta(ge=0, le=1)] | None = None


OWN_FIELDS = ("offload_budget", "policy", "show_tags")
"""Fields that OpenAI's API does not have. As unknown fields are ignored, a misspelt one of these would be too."""

_UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "add_generation_prompt": (True,),
    "allowed_token_ids": ([],),
    "audio": (),
    "bad_words": ([],),
    "best_of": (1,),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "documents": ([],),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "guided_choice": (),
    "guided_grammar": (),
    "guided_json": (),
    "guided_regex": (),
    "ignore_eos": (False,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "min_p": (0,),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "prediction": (),
    "presence_penalty": (0,),
    "prompt_logprobs": (),
    "reasoning_effort": (),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "return_token_ids": (False,),
    "skip_special_tokens": (True,),
    "stop_token_ids": ([],),
    "structured_outputs": (),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_k": (-1, 0),
    "top_logprobs": (0,),
    "use_beam_search": (False,),
    "verbosity": (),
    "web_search_options": (),
}
"""Fields that other servers know and this one does not, and the values with which they ask for nothing."""

B = TypeVar("B", bound=_Body)


def parse_chat(data: bytes, limits: RequestLimits) -> ApiRequest:
    """Read the body of `/v1/chat/completions`. Raises ApiError."""
    body = _convert(data, _ChatBody, limits)
    messages = tuple(_message(turn, f"messages[{i}]") for i, turn in enumerate(body.messages))
    wanted = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    param = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    request = replace(_generation(body, limits, wanted, param), messages=messages, logprobs=bool(body.logprobs))
    return _api_request(body, request, limits)


def parse_completion(data: bytes, limits: RequestLimits) -> ApiRequest:
    """Read the body of `/v1/completions`. Raises ApiError."""
    body = _convert(data, _CompletionBody, limits)
    prompt = body.prompt
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise _invalid("prompt", "expected one string; lists of prompts and token ids are not supported")
    if not prompt:
        raise _invalid("prompt", "is empty")
    request = replace(
        _generation(body, limits, body.max_tokens, "max_tokens"), prompt=prompt, logprobs=body.logprobs is not None
    )
    return _api_request(body, request, limits)


def refused(error: RequestError) -> ApiError:
    """What a client is told about a request that the engine cannot fulfil."""
    return ApiError(400, error.message, param=error.param, code=error.code)


def unknown_model(model: str, models: tuple[str, ...]) -> ApiError:
    served = ", ".join(f"'{name}'" for name in models)
    return ApiError(404, f"model: '{model}' is not served here, only {served}", param="model", code="model_not_found")


def _convert(data: bytes, kind: type[B], limits: RequestLimits) -> B:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body is no JSON object")
    for name, harmless in _UNSUPPORTED.items():
        if value.get(name) is not None and not any(_same(value[name], item) for item in harmless):
            raise ApiError(400, f"{name}: not supported by this server", param=name, code="unsupported_parameter")
    for name in value.keys() - {field.name for field in msgspec.structs.fields(kind)}:
        if meant := difflib.get_close_matches(name, OWN_FIELDS, 1, 0.8):
            raise ApiError(400, f"{name}: not known. Did you mean {meant[0]}?", param=name, code="unknown_parameter")
    try:
        body = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from None
    if body.model not in limits.models:
        raise unknown_model(body.model, limits.models)
    return body


def _same(value: object, harmless: object) -> bool:
    return bool(value == harmless) and isinstance(value, bool) == isinstance(harmless, bool)


def _generation(body: _Body, limits: RequestLimits, max_tokens: int | None, param: str) -> GenerationRequest:
    if max_tokens is not None and limits.max_tokens is not None and max_tokens > limits.max_tokens:
        raise _invalid(param, f"{max_tokens} is more than this server's limit of {limits.max_tokens}")
    default = limits.max_tokens if limits.default_max_tokens is None else limits.default_max_tokens
    standard = GenerationRequest()
    return replace(
        standard,
        max_tokens=default if max_tokens is None else max_tokens,
        temperature=standard.temperature if body.temperature is None else body.temperature,
        top_p=standard.top_p if body.top_p is None else body.top_p,
        seed=body.seed,
        stop=_stops(body.stop),
        offload_budget=_share(body.offload_budget),
        policy=body.policy,
        show_tags=bool(body.show_tags),
    )


def _api_request(body: _Body, request: GenerationRequest, limits: RequestLimits) -> ApiRequest:
    n = body.n or 1
    if n > limits.max_n:
        raise _invalid("n", f"{n} is more than this server's limit of {limits.max_n}")
    if body.stream_options is not None and not body.stream:
        raise _invalid("stream_options", "only allowed with stream")
    choices = tuple(replace(request, seed=None if request.seed is None else request.seed + i) for i in range(n))
    usage = bool(body.stream_options and body.stream_options.include_usage)
    return ApiRequest(body.model, choices, stream=bool(body.stream), include_usage=usage)


def _message(turn: _Turn, where: str) -> Message:
    if turn.role not in _ROLES:
        raise _invalid("messages", f"{where}.role '{turn.role}' is not supported, only {', '.join(_ROLES)}")
    if turn.tool_calls or turn.function_call:
        raise _invalid("messages", f"{where} calls a tool, which is not supported")
    if turn.content is None:
        raise _invalid("messages", f"{where}.content is missing")
    if isinstance(turn.content, str):
        return Message(role=turn.role, content=turn.content)
    for part in turn.content:
        if part.type != "text":
            raise _invalid("messages", f"{where}.content has a part of type '{part.type}', only text is supported")
    return Message(role=turn.role, content="".join(part.text for part in turn.content))


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > MAX_STOPS:
        raise _invalid("stop", f"{len(stops)} texts are more than the limit of {MAX_STOPS}")
    if any(len(stop) > MAX_STOP_CHARACTERS for stop in stops):
        raise _invalid("stop", f"a text is longer than the limit of {MAX_STOP_CHARACTERS} characters")
    if "" in stops:
        raise _invalid("stop", "an empty text would end every completion at once")
    return stops


def _share(value: float | str | None) -> float | None:
    if value is None:
        return None
    try:
        return parse_share(str(value))
    except ValueError as error:
        raise _invalid("offload_budget", str(error)) from None


def _invalid(param: str, message: str) -> ApiError:
    return ApiError(400, f"{param}: {message}", param=param)


def _explained(error: str) -> ApiError:
    """Turn "Expected `str`, got `int` - at `$.stop[0]`" into a sentence that names the parameter first."""
    what, _, path = error.partition(" - at `$")
    what, path = what.replace("`", ""), path.removesuffix("`").lstrip(".")
    missing = what.removeprefix("Object missing required field ")
    if missing != what:
        path, what = f"{path}.{missing}".lstrip("."), "is missing"
    return _invalid_at(path, what[0].lower() + what[1:])


def _invalid_at(path: str, what: str) -> ApiError:
    return ApiError(400, f"{path}: {what}", param=re.split(r"[.\[]", path)[0])
