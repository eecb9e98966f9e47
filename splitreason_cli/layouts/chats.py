"""Chats of one question and one solution. Any other chat is refused, so that no turn stands for another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..records.data import SchemaError

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"

ROLE_OF = {
    **dict.fromkeys(("system", "developer"), SYSTEM),
    **dict.fromkeys(("user", "human"), USER),
    **dict.fromkeys(("assistant", "gpt", "model", "bot"), ASSISTANT),
}
_THINKING = ("reasoning_content", "reasoning", "thinking", "think_content")
_THINKING_PARTS = ("thinking", "reasoning")
_TEXT_PARTS = ("text", "input_text", "output_text")


@dataclass(frozen=True)
class Turn:
    """One message. `thinking` is that of a field or part of its own, None where there is none."""

    role: str
    text: str
    thinking: str | None = None
    gold: object = None


@dataclass(frozen=True)
class Chat:
    """A question, the solution if there is one, and what stands around both.

    `trailing` tells that a user's turn after the solution is left out.
    """

    user: Turn
    assistant: Turn | None
    system: str = ""
    trailing: bool = False


def is_chat(value: object) -> bool:
    """Whether a value is a list of messages, also in the columnar form of the datasets library."""
    messages = _messages(value)
    return bool(messages) and all(isinstance(one, dict) and ("role" in one or "from" in one) for one in messages)


def chat_of(value: object, column: str, *, asks: bool = False) -> Chat:
    """Read a list of messages, which ends with the question if it `asks`.

    Raises SchemaError for any that holds more than one question and one solution.
    """
    turns = [_turn(message, column) for message in _messages(value)]
    systems = []
    while turns and turns[0].role == SYSTEM:
        systems.append(turns.pop(0).text)
    roles = [turn.role for turn in turns]
    trailing = roles == [USER, ASSISTANT, USER]
    if roles != [USER] and (asks or not (trailing or roles == [USER, ASSISTANT])):
        given = ", ".join([*[SYSTEM] * len(systems), *roles]) or "none"
        raise SchemaError(f"field '{column}': a trace is of one user's turn and one assistant's; its turns: {given}")
    if not turns[0].text.strip():
        raise SchemaError(f"field '{column}': the user's turn is empty")
    return Chat(turns[0], turns[1] if len(turns) > 1 else None, "\n\n".join(systems), trailing)


def _messages(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        columns = [items for items in value.values() if isinstance(items, list)]
        if len(columns) == len(value) and len({len(items) for items in columns}) == 1:
            return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return value if isinstance(value, list) else []


def _turn(message: object, column: str) -> Turn:
    if not isinstance(message, dict):
        raise SchemaError(f"field '{column}': a turn is a JSON object, got {type(message).__name__}")
    named = message.get("role") or message.get("from")
    role = ROLE_OF.get(named.lower()) if isinstance(named, str) else None
    if role is None:
        raise SchemaError(f"field '{column}': a turn of the role {named!r} has no place in a trace")
    if message.get("tool_calls"):
        raise SchemaError(f"field '{column}': a turn with tool calls has no place in a trace")
    text, thinking = _content(message, role, column)
    info = message.get("info")
    info = info if isinstance(info, dict) else {}
    for field in [*(message.get(name) for name in _THINKING), info.get("think_content")]:
        if isinstance(field, str) and field.strip() and role == ASSISTANT:
            if thinking is not None and thinking.strip() != field.strip():
                raise SchemaError(f"field '{column}': a turn holds two different texts of thinking")
            thinking = field
    return Turn(role, text, thinking, info.get("reference_answer") or info.get("ground_truth"))


def _content(message: Mapping[str, object], role: str, column: str) -> tuple[str, str | None]:
    """The text of a message and the thinking among its parts."""
    content = next((message[name] for name in ("content", "value") if message.get(name) is not None), None)
    if isinstance(content, str):
        return content, None
    if not isinstance(content, list):
        what = "null" if content is None else type(content).__name__
        raise SchemaError(f"field '{column}': the {role}'s turn holds no text, got {what}")
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, dict) else type(part).__name__
        if isinstance(part, str):
            texts.append(part)
        elif kind in _TEXT_PARTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in _THINKING_PARTS:
            thoughts.append(_thought(part, kind, column))
        else:
            raise SchemaError(f"field '{column}': a part of type {kind!r} is no text")
    return "".join(texts), "".join(thoughts) or None


def _thought(part: Mapping[str, object], kind: str, column: str) -> str:
    value = part.get(kind) if part.get(kind) is not None else part.get("text")
    if isinstance(value, list):
        value = "".join(str(one.get("text", "")) for one in value if isinstance(one, dict))
    if not isinstance(value, str):
        raise SchemaError(f"field '{column}': a part of type {kind!r} holds no text")
    return value


def is_asked(message: Mapping[str, object]) -> bool:
    """Whether a message is a turn of somebody else than the model."""
    named = message.get("role") or message.get("from")
    return isinstance(named, str) and ROLE_OF.get(named.lower(), ASSISTANT) != ASSISTANT


def in_messages(value: object) -> object:
    """A chat as a list of messages; any other value as it is."""
    return [*_messages(value)] if is_chat(value) else value
