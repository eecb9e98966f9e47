"""What a server answered, in whatever dialect: content as a text, as parts, or as something that is no text at all.

Only the fields that are used are read. A field of an odd type is never a fault of the whole answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
import orjson

_MOST_TOKENS = 2**48


class AnswerMessage(msgspec.Struct):
    """`reasoning` is vLLM's and OpenRouter's name for the thinking, `reasoning_content` DeepSeek's."""

    content: object = None
    reasoning: object = None
    reasoning_content: object = None
    refusal: object = None
    tool_calls: object = None


class PromptLogprob(msgspec.Struct):
    logprob: float


class AnswerChoice(msgspec.Struct):
    """`prompt_logprobs`, which only vLLM has, are null at the first token and else keyed by token ids."""

    message: AnswerMessage | None = None
    error: object = None
    finish_reason: object = None
    prompt_logprobs: list[dict[str, PromptLogprob] | None] | None = None


@dataclass(frozen=True)
class ReadAnswer:
    """The first choice of an answer, as texts that are empty where there are none.

    Args:
        text: what the model says, from `content`.
        thinking: what stands in a field for the thinking.
        arguments: those of tool calls.
        refusal: why the model declines.
        error: what went wrong at the server, as routers say it beside the message.
        finish_reason: such as stop, length or content_filter.
        tokens: prompt and completion tokens, 0 where the server does not say.
    """

    text: str = ""
    thinking: str = ""
    arguments: str = ""
    refusal: str = ""
    error: str = ""
    finish_reason: str = ""
    tokens: tuple[int, int] = (0, 0)


class Answer(msgspec.Struct):
    """A completion, of a chat or not: one choice or more."""

    choices: Annotated[list[AnswerChoice], msgspec.Meta(min_length=1)]
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
        message = choice.message or AnswerMessage()
        return ReadAnswer(
            text_of(message.content),
            text_of(message.reasoning_content) or text_of(message.reasoning),
            "".join(_arguments(message.tool_calls)),
            text_of(message.refusal),
            text_of(choice.error),
            text_of(choice.finish_reason),
            self.tokens,
        )


def read_answer(value: object) -> Answer:
    """The answer in a parsed body. Raises ValueError with the place that does not fit."""
    try:
        return msgspec.convert(value, Answer)
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}, in {str(value)[:200]!r}") from None


def text_of(value: object) -> str:
    """A field's text, whether it is one, a list of parts with a text each, or the object that a text would spell."""
    if isinstance(value, str):
        # A lone half of a surrogate pair can be written nowhere; two halves are one character.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list) and any(isinstance(part, str) or _is_part(part) for part in value):
        return "".join(text_of(part["text"] if _is_part(part) else part) for part in value if _is_said(part))
    if isinstance(value, (list, dict)) and value:
        if _is_part(value):
            return text_of(value["text"])  # type: ignore[call-overload]
        try:
            return orjson.dumps(value).decode()
        except (TypeError, RecursionError):
            return ""
    return ""


def _is_part(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("text"), str)


def _is_said(part: object) -> bool:
    """Whether a part is the model's words; its thinking may stand among them."""
    return isinstance(part, str) or (isinstance(part, dict) and _is_part(part) and "think" not in str(part.get("type")))


def _arguments(calls: object) -> Iterator[str]:
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        yield text_of(function.get("arguments")) if isinstance(function, dict) else ""


def _count(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 <= value < _MOST_TOKENS else 0
