"""Chats: what is said in a message, and those of one question and one solution.

Any other chat is refused as a trace, so that no turn stands for another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..records.data import SchemaError

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"

ROLE_OF = {
    **dict.fromkeys(("system", "developer"), SYSTEM),
    **dict.fromkeys(("user", "human"), USER),
    **dict.fromkeys(("assistant", "gpt", "model", "bot"), ASSISTANT),
}
THINKING = ("reasoning_content", "reasoning", "thinking", "think_content")
"""Fields of a message that hold its thinking, and the types of parts that do."""
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
    role = role_of(message)
    if role is None:
        raise SchemaError(f"field '{column}': a turn of the role {_named_role(message)!r} has no place in a trace")
    if message.get("tool_calls"):
        raise SchemaError(f"field '{column}': a turn with tool calls has no place in a trace")
    text, thinking = said_in(message, column)
    if text is None:
        raise SchemaError(f"field '{column}': the {role}'s turn holds no text, got null")
    info = message.get("info")
    gold = info.get("reference_answer") or info.get("ground_truth") if isinstance(info, dict) else None
    return Turn(role, text, thinking if role == ASSISTANT else None, gold)


def said_in(message: Mapping[str, object], column: str) -> tuple[str | None, str | None]:
    """The text of a message, None where it is null, and its thinking, None where it holds none apart from the text.

    Raises SchemaError for content that is no text, and for two texts of thinking.
    """
    text, thinking = _content(
        next((message[n] for n in ("content", "value") if message.get(n) is not None), None), column
    )
    info = message.get("info")
    for field in [*map(message.get, THINKING), info.get("think_content") if isinstance(info, dict) else None]:
        if isinstance(field, str) and field.strip():
            if thinking is not None and thinking.strip() != field.strip():
                raise SchemaError(f"field '{column}': a turn holds two different texts of thinking")
            thinking = field
    return text, thinking


def _content(content: object, column: str) -> tuple[str | None, str | None]:
    """The text of a message's content and the thinking among its parts."""
    if content is None or isinstance(content, str):
        return content, None
    texts: list[str] = []
    thoughts: list[str] = []
    parts: list[object] = content if isinstance(content, list) else [content]
    for part in parts:
        kind = part.get("type", "text") if isinstance(part, dict) else type(part).__name__
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and kind in _TEXT_PARTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(part, dict) and kind in THINKING:
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


def role_of(message: Mapping[str, object]) -> str | None:
    """Who speaks in a message; None for somebody else than the three."""
    named = _named_role(message)
    return ROLE_OF.get(named.lower()) if isinstance(named, str) else None


def _named_role(message: Mapping[str, object]) -> object:
    return message.get("role") or message.get("from")


def is_asked(message: Mapping[str, object]) -> bool:
    """Whether a message is a turn of somebody else than the model."""
    return role_of(message) in (SYSTEM, USER)


def in_messages(value: object) -> object:
    """A chat as a list of messages; any other value as it is."""
    return [*_messages(value)] if is_chat(value) else value
