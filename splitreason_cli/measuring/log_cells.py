"""The completions that a cell of a log holds: texts, replies of a server, chats, and lists of these."""

from collections.abc import Iterator, Mapping, Sequence

import orjson

from ..layouts.chats import ASSISTANT, SYSTEM, in_messages, is_chat, role_of, said_in
from ..records.data import SchemaError
from ..records.lessons import FINISHES, TRUNCATED
from ..records.markup import THINK_CLOSE
from .log_columns import ENDS, TOKENS
from .log_samples import Completion


def completions_in(cell: object, where: str) -> list[Completion]:
    """The completions in a cell of the column `where`. Raises SchemaError for what is none."""
    return list(_found(cell, where))


def _found(cell: object, where: str) -> Iterator[Completion]:
    if cell is None or isinstance(cell, str):
        yield Completion(cell)
    elif is_chat(cell):
        yield last_turn(cell, where)
    elif isinstance(cell, dict):
        yield from _of_reply(cell, where)
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
    if isinstance(output := reply.get("output"), list):
        yield _of_response(reply, output, where)
        return
    message = reply.get("message")
    said = message if isinstance(message, dict) else reply
    names = [name for name in ("content", "text", "generated_text") if name in said]
    if not names:
        raise SchemaError(f"field '{where}': no completion among {', '.join(map(str, reply)) or 'no fields'}")
    told = reply.get("meta_info")
    tokens, big_tokens = usage_of({**reply, **told} if isinstance(told, dict) else reply)
    text = thought_through(*said_in({**said, "content": said[names[0]]}, where))
    ids = reply.get("token_ids")
    if tokens is None and isinstance(ids, list):
        tokens = len(ids)
    yield Completion(text, finish_of(told if isinstance(told, dict) else reply), tokens, big_tokens)


def _of_response(reply: Mapping[str, object], output: Sequence[object], where: str) -> Completion:
    """Of OpenAI's responses API: what its messages say; None if it has none."""
    messages = [one for one in output if isinstance(one, dict) and one.get("type", "message") == "message"]
    texts = [text for one in messages if (text := thought_through(*said_in(one, where))) is not None]
    why = reply.get("incomplete_details")
    end = finish_of({"stop_reason": why.get("reason")} if isinstance(why, dict) else {})
    return Completion("".join(texts) if texts else None, end, *usage_of(reply))


def last_turn(chat: object, where: str) -> Completion:
    """The completion that a chat ends with. Raises SchemaError if that is no turn of the assistant."""
    turn = _turns(chat)[-1]
    if role_of(turn) != ASSISTANT:
        named = turn.get("role") or turn.get("from")
        raise SchemaError(f"field '{where}' ends with a turn of the {named}, which is no completion")
    return Completion(thought_through(*said_in(turn, where)))


def asked_in(chat: object, where: str) -> str | None:
    """What the turns before the last of the assistant say, the system's left out; None if they say nothing."""
    turns = _turns(chat)
    turns = turns[:-1] if role_of(turns[-1]) == ASSISTANT else turns
    texts = [said_in(turn, where)[0] for turn in turns if role_of(turn) != SYSTEM]
    return "\n\n".join(text for text in texts if text) or None


def _turns(chat: object) -> list[Mapping[str, object]]:
    turns = in_messages(chat)
    return [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []


def without_prompt(text: str | None, *prompts: object) -> str | None:
    """A completion without the longest of these that it repeats at its start."""
    repeated = [prompt for prompt in prompts if isinstance(prompt, str) and text and text.startswith(prompt)]
    return text.removeprefix(max(repeated, key=len)) if text and repeated else text


def last_said(prompt: str | None) -> str | None:
    """The last message of a chat in JSON, or the prompt itself."""
    try:
        turns = orjson.loads(prompt or "")
        return str(turns[-1]["content"])
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return prompt


def thought_through(text: str | None, thought: object = None) -> str | None:
    """The response behind the thinking that a server returned apart from it; unfinished thinking is left open."""
    if not isinstance(thought, str) or not thought:
        return text
    return f"{thought}\n{THINK_CLOSE}\n\n{text}" if text else thought


def finish_of(row: Mapping[str, object], at: int | None = None) -> str | None:
    """How a completion ended, in OpenAI's words where it is known; `at` picks one of a list."""
    for name in TRUNCATED:
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
    tokens = [
        *(usage.get(name) for name in ("completion_tokens", "output_tokens")),
        *(row.get(name) for name in TOKENS),
    ]
    big_tokens = [split.get("big_tokens") if isinstance(split, dict) else None, row.get("big_tokens")]
    return _first_count(tokens), _first_count(big_tokens)


def _picked(value: object, at: int | None) -> object:
    if not isinstance(value, list):
        return value
    return value[at] if at is not None and at < len(value) else None


def _first_count(values: Sequence[object]) -> int | None:
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)
