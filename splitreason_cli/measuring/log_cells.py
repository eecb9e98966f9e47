"""The completions that a cell of a log holds: texts, replies of a server, chats, and lists of these."""

from collections.abc import Iterator, Mapping, Sequence

import orjson

from ..records.data import SchemaError
from ..records.markup import THINK_CLOSE
from .log_columns import CUTS, ENDS, FINISHES, REASONINGS, TOKENS
from .log_samples import Completion

ASSISTANT = ("assistant", "gpt", "model")


def completions_in(cell: object, where: str) -> list[Completion]:
    """The completions in a cell of the column `where`. Raises SchemaError for what is none."""
    return list(_found(cell, where))


def _found(cell: object, where: str) -> Iterator[Completion]:
    if cell is None or isinstance(cell, str):
        yield Completion(cell)
    elif isinstance(cell, dict):
        yield from _of_reply(cell, where)
    elif isinstance(cell, list) and is_chat(cell):
        yield last_turn(cell, where)
    elif isinstance(cell, list):
        for one in cell:
            yield from _found(one, where)
    else:
        raise SchemaError(f"field '{where}': a completion is a text, got {type(cell).__name__}")


def _of_reply(reply: Mapping[str, object], where: str) -> Iterator[Completion]:
    """Of a chat completion, of one of its choices, or of what vLLM, SGLang and pipelines return in their place."""
    choices = reply.get("choices")
    if isinstance(choices, list):
        found = [one for choice in choices for one in _found(choice, where)]
        tokens, big_tokens = usage_of(reply) if len(found) == 1 else (None, None)
        yield from (
            Completion(one.text, one.finish_reason, one.tokens or tokens, big_tokens or one.big_tokens) for one in found
        )
        return
    message = reply.get("message")
    said = message if isinstance(message, dict) else reply
    names = [name for name in ("content", "text", "generated_text") if name in said]
    if not names:
        raise SchemaError(f"field '{where}': no completion among {', '.join(map(str, reply)) or 'no fields'}")
    told = reply.get("meta_info")
    tokens, big_tokens = usage_of({**reply, **told} if isinstance(told, dict) else reply)
    text = thought_through(text_in(said[names[0]], where), _reasoning(said))
    ids = reply.get("token_ids")
    if tokens is None and isinstance(ids, list):
        tokens = len(ids)
    yield Completion(text, finish_of(told if isinstance(told, dict) else reply), tokens, big_tokens)


def is_chat(cell: object) -> bool:
    """Whether it is a list of turns."""
    return isinstance(cell, list) and bool(cell) and all(isinstance(turn, dict) and role_of(turn) for turn in cell)


def last_turn(chat: Sequence[Mapping[str, object]], where: str) -> Completion:
    """The completion that a chat ends with. Raises SchemaError if that is no turn of the assistant."""
    turn = chat[-1]
    if role_of(turn) not in ASSISTANT:
        raise SchemaError(f"field '{where}' ends with a turn of the {role_of(turn)}, which is no completion")
    text = text_in(turn.get("content", turn.get("value")), where)
    return Completion(thought_through(text, _reasoning(turn)))


def asked_in(chat: Sequence[Mapping[str, object]], where: str) -> str | None:
    """What the turns before the last of the assistant say, the system's left out; None if they say nothing."""
    turns = chat[:-1] if role_of(chat[-1]) in ASSISTANT else chat
    texts = [text_in(turn.get("content", turn.get("value")), where) for turn in turns if role_of(turn) != "system"]
    return "\n\n".join(text for text in texts if text) or None


def role_of(turn: Mapping[str, object]) -> str | None:
    """Who speaks in a turn of a chat; None if it is none."""
    role = turn.get("role", turn.get("from"))
    return role if isinstance(role, str) else None


def text_in(content: object, where: str) -> str | None:
    """A turn's text, whose content may be a list of parts; thinking among them comes before the rest."""
    if content is None or isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    said, thought = list[str](), list[str]()
    for part in parts:
        text = part if isinstance(part, str) else _part(part)
        if text is None:
            raise SchemaError(f"field '{where}': a part of the content is no text")
        (thought if isinstance(part, dict) and part.get("type") in REASONINGS else said).append(text)
    return thought_through("".join(said), "".join(thought))


def without_prompt(text: str | None, *prompts: object) -> str | None:
    """A completion without the first of these that it repeats at its start."""
    for prompt in prompts:
        if text and isinstance(prompt, str) and prompt and text.startswith(prompt):
            return text.removeprefix(prompt)
    return text


def last_said(prompt: str | None) -> str | None:
    """The last message of a chat in JSON, or the prompt itself."""
    try:
        turns = orjson.loads(prompt or "")
        return str(turns[-1]["content"])
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return prompt


def _part(part: object) -> str | None:
    names = ("text", *REASONINGS)
    texts = [part[name] for name in names if isinstance(part.get(name), str)] if isinstance(part, dict) else []
    return str(texts[0]) if texts else None


def _reasoning(said: Mapping[str, object]) -> object:
    return next((said[name] for name in REASONINGS if isinstance(said.get(name), str) and said[name]), None)


def thought_through(text: str | None, thought: object = None) -> str | None:
    """The response behind the thinking that a server returned apart from it; unfinished thinking is left open."""
    if not isinstance(thought, str) or not thought:
        return text
    return f"{thought}\n{THINK_CLOSE}\n\n{text}" if text else thought


def finish_of(row: Mapping[str, object], at: int | None = None) -> str | None:
    """How a completion ended, in OpenAI's words where it is known; `at` picks one of a list."""
    for name in CUTS:
        value = _picked(row.get(name), at)
        if isinstance(value, bool):
            return "length" if value else "stop"
    for name in FINISHES:
        value = _picked(row.get(name), at)
        if isinstance(value, dict):
            value = value.get("type")
        if isinstance(value, str) and value.lower() in ENDS:
            return ENDS[value.lower()]
        # What vLLM calls stop_reason is the text that it stopped at.
        if isinstance(value, str) and value and name.startswith("finish"):
            return value
    return None


def usage_of(row: Mapping[str, object]) -> tuple[int | None, int | None]:
    """Tokens of the completion and of them the big model's, in our names, OpenAI's, or those of `srx serve`."""
    usage = row.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    split = usage.get("split")
    tokens = [usage.get("completion_tokens"), *(row.get(name) for name in TOKENS)]
    big_tokens = [split.get("big_tokens") if isinstance(split, dict) else None, row.get("big_tokens")]
    return _first_count(tokens), _first_count(big_tokens)


def _picked(value: object, at: int | None) -> object:
    if not isinstance(value, list):
        return value
    return value[at] if at is not None and at < len(value) else None


def _first_count(values: Sequence[object]) -> int | None:
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)
