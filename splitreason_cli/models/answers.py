"""What a server answered, in whatever dialect: content as a text, as parts, or as something that is no text at all.

Only the fields that are used are read. A field of an odd type is never a fault of the whole answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
import orjson

from ..records.record import JsonObject

_MOST_TOKENS = 2**48

_THINKING = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks", "thoughts")
"""Names of fields for the thinking: DeepSeek's, vLLM's and OpenRouter's, Ollama's, OpenRouter's, LiteLLM's, others'."""
_READ = ("role", "content", "refusal", "tool_calls", "function_call", *_THINKING)
_TEXT = ("text", "content", "output_text", "thinking", "value")
"""Where a part, or a part of a part, has its text."""
_LENGTH = ("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length")
_FILTERED = ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "sensitive")


@dataclass(frozen=True)
class ReadAnswer:
    """The first choice of an answer, as texts that are empty where there are none.

    Args:
        text: what the model says, from `content`.
        thinking: what stands in a field for the thinking.
        arguments: those of tool calls.
        elsewhere: what stands in fields that only some servers have.
        refusal: why the model declines.
        error: what went wrong at the server, as routers say it beside the message.
        finish_reason: such as stop; length and content_filter by these names, whatever the server calls them.
        tokens: prompt and completion tokens, 0 where the server does not say.
    """

    text: str = ""
    thinking: str = ""
    arguments: str = ""
    elsewhere: str = ""
    refusal: str = ""
    error: str = ""
    finish_reason: str = ""
    tokens: tuple[int, int] = (0, 0)


class Answer(msgspec.Struct):
    """A completion, of a chat or not: one choice or more."""

    choices: Annotated[list[JsonObject], msgspec.Meta(min_length=1)]
    usage: object = None

    @property
    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens."""
        usage = self.usage if isinstance(self.usage, dict) else {}
        prompt, completion = (_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
        return prompt, completion

    def read(self) -> ReadAnswer:
        """The first choice's texts."""
        choice = self.choices[0]
        message = _message(choice)
        content = message.get("content")
        others = {name: value for name, value in message.items() if name not in _READ}
        return ReadAnswer(
            text_of(content),
            next(filter(None, (_thinking_in(message.get(name)) for name in _THINKING)), "")
            or _thinking_in(content, among=True),
            "".join(_arguments(message.get("tool_calls") or message.get("function_call"))),
            next((text for text in map(text_of, others.values()) if "snippet" in text), ""),
            text_of(message.get("refusal")),
            text_of(choice.get("error")),
            _finish_reason(choice.get("finish_reason")),
            self.tokens,
        )


def read_answer(value: object) -> Answer:
    """The answer in a parsed body. Raises ValueError with the place that does not fit."""
    if isinstance(value, dict) and isinstance(value.get("choices"), dict):
        value = {**value, "choices": [value["choices"]]}
    elif isinstance(value, dict) and "choices" not in value and isinstance(value.get("message"), dict):
        value = {"choices": [value], "usage": value.get("usage")}
    try:
        return msgspec.convert(value, Answer)
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}, in {str(value)[:200]!r}") from None


def text_of(value: object) -> str:
    """A field's text, whether it is one, a list of parts with a text each, or the object that a text would spell."""
    if isinstance(value, str):
        # A lone half of a surrogate pair can be written nowhere; two halves are one character.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list) and any(_part(part) is not None for part in value):
        return "".join(text_of(_part(part)) for part in value if not _is_thought(part))
    if isinstance(value, (list, dict)) and value:
        part = None if isinstance(value, list) else _part(value)
        if part is not None:
            return text_of(part)
        try:
            return orjson.dumps(value).decode()
        except (TypeError, RecursionError):
            return ""
    return ""


def _part(value: object, depth: int = 0) -> str | None:
    """The text of a part, None if it has none."""
    if isinstance(value, str):
        return value
    if depth > 4:
        return None
    if isinstance(value, list):
        texts = [text for text in (_part(one, depth + 1) for one in value) if text is not None]
        return "".join(texts) if texts else None
    if isinstance(value, dict):
        fields = (_part(value.get(name), depth + 1) for name in _TEXT if not isinstance(value.get(name), list | None))
        return next((text for text in fields if text is not None), _part_of_parts(value, depth))
    return None


def _part_of_parts(value: JsonObject, depth: int) -> str | None:
    found = (_part(value.get(name), depth + 1) for name in _TEXT if isinstance(value.get(name), list))
    return next((text for text in found if text is not None), None) if "type" in value else None


def _is_thought(part: object) -> bool:
    """Whether a part is the model's thinking, which may stand among its words."""
    return isinstance(part, dict) and ("think" in str(part.get("type")) or "reason" in str(part.get("type")))


def _thinking_in(value: object, *, among: bool = False) -> str:
    """The thinking that a field holds, or the parts of it that stand `among` the model's words."""
    if not isinstance(value, list):
        return "" if among else text_of(value)
    thoughts = "".join(_part(part) or "" for part in value if _is_thought(part))
    return text_of(thoughts) or ("" if among else text_of(value))


def _message(choice: JsonObject) -> JsonObject:
    """What a choice says; that of a plain completion, or of a stream, is its text."""
    for name in ("message", "delta", "text"):
        value = choice.get(name)
        if isinstance(value, dict):
            return value
        if isinstance(value, (str, list)) and value:
            return {"content": value}
    return {}


def _finish_reason(value: object) -> str:
    reason = text_of(value)
    if reason.lower() in _LENGTH:
        return "length"
    return "content_filter" if reason.lower() in _FILTERED else reason


def _arguments(calls: object) -> Iterator[str]:
    for call in calls if isinstance(calls, list) else [calls]:
        function = call.get("function", call) if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield text_of(function.get("arguments") or function.get("input"))


def _count(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 <= value < _MOST_TOKENS else 0
