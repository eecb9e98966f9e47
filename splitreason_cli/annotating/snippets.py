"""What an annotating model is asked for, and how its reply is read.

The model copies the hardest passages out of a trace. A reply is a JSON object {"snippets": [...]} or, where an endpoint
cannot force JSON, one `<snippet>` element for each passage; either form is read in any reply.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import json_repair
import orjson

from ..models.answers import text_of
from ..records.record import JsonObject
from ..records.scaffold import split_thinking

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"snippets": {"type": "array", "items": {"type": "string"}}},
    "required": ["snippets"],
    "additionalProperties": False,
}
"""JSON schema of a reply."""

_TASK = """\
You read the reasoning of a small language model on a mathematical problem and point out where it needed help.

Pick the passages that are hardest to get right: a decisive idea, a step that is easy to get wrong, an involved \
calculation, a correction of an earlier mistake. Leave out restatements, small talk and routine arithmetic.
- Together they make up about {percent:.0f} % of the reasoning, and never more.
- Give several short passages, at least three where the reasoning is long enough: a sentence or a few lines each.
- Copy each passage verbatim, with its exact wording, LaTeX, symbols, white space and mistakes. Do not join passages
  that stand apart, do not shorten, do not translate, and write no ellipsis.
- Begin with the hardest passage.
"""
_AS_JSON = 'Reply with one JSON object only: {"snippets": ["first passage", "second passage"]}.'
_AS_ELEMENTS = "Reply with the passages only, each between <snippet> and </snippet>."

_ELEMENT = re.compile(r"<snippet\b[^<>]*>(.*?)(</snippet>|(?=<snippet\b)|\Z)", re.IGNORECASE | re.DOTALL)
_BROKEN_ESCAPE = re.compile(r'\\(?:\\|["/bfnrt](?![A-Za-z])|u[0-9a-fA-F]{4}|([^\\]))', re.DOTALL)
_OBJECT_START = re.compile(r"[{](?=\s*[\"'\u201c\u201d]?snippets\b)")
# A brace or bracket of LaTeX, of a set or an interval belongs to a command or is followed by something else.
_JSON_START = re.compile(r"(?<![\w\\}\])^])[{\[](?=\s*[\"'\u201c\u201d{\[}\]])")
_PASSAGE = ("snippet", "passage", "quote", "text", "excerpt", "sentence", "content", "span")
"""Where an object has its passage, beside a reason or a rank."""
_EATEN = {"\b": "\\b", "\f": "\\f", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class ParsedReply:
    """The snippets of a reply, in its order; `complete` is false if the reply breaks off."""

    snippets: tuple[str, ...]
    complete: bool


def request(problem: str, reasoning: str, fraction: float, *, as_json: bool) -> list[dict[str, str]]:
    """The chat that asks for the hardest passages, about `fraction` (0..1) of the reasoning's characters.

    The part that is the same for every trace comes first, where servers can cache it.
    """
    task = _TASK.format(percent=100 * fraction) + (_AS_JSON if as_json else _AS_ELEMENTS)
    return [
        {"role": "system", "content": task},
        {"role": "user", "content": f"# Problem\n\n{problem}\n\n# Reasoning\n\n{reasoning}"},
    ]


def parse(reply: str) -> ParsedReply:
    """Read a reply in any of its forms; an unreadable one has no snippets."""
    _, response = split_thinking(reply)
    reply = _unquoted(response or reply)
    if elements := list(_ELEMENT.finditer(reply)):
        texts = tuple(match.group(1).strip() for match in elements)
        return ParsedReply(tuple(filter(None, texts)), complete=all(match.group(2) for match in elements))
    found = _OBJECT_START.search(reply) or _JSON_START.search(reply)
    if found is None:
        return ParsedReply((), complete=True)
    text = reply[found.start() :]
    try:
        if values := _json_lines(text):
            return ParsedReply(tuple(_texts(values)), complete=True)
        try:
            return ParsedReply(tuple(_texts(orjson.loads(text[: max(text.rfind("}"), text.rfind("]")) + 1]))), True)
        except orjson.JSONDecodeError:
            return ParsedReply(tuple(_texts(json_repair.loads(_with_escaped_latex(text)))), _closes(text))
    except RecursionError:
        return ParsedReply((), complete=True)


def _texts(value: object) -> Iterator[str]:
    """The strings in a parsed reply: in lists and in objects' values, however they are nested."""
    if isinstance(value, str):
        # A model that writes LaTeX's \frac or \theta unescaped has written a control character.
        text = text_of(re.sub(r"[\b\f\r\t](?=[A-Za-z])", lambda eaten: _EATEN[eaten.group()], value)).strip()
        if text:
            yield text
    elif isinstance(value, dict):
        named = [item for name, item in value.items() if name.lower() in _PASSAGE and isinstance(item, (str, list))]
        if isinstance(listed := value.get("snippets"), str):
            listed = listed.splitlines()
        yield from _texts(listed if "snippets" in value else named or list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _unquoted(reply: str) -> str:
    """A reply that is the JSON of a text, as that text."""
    if not reply.lstrip().startswith('"'):
        return reply
    try:
        value = orjson.loads(reply)
    except orjson.JSONDecodeError:
        return reply
    return value if isinstance(value, str) else reply


def _json_lines(text: str) -> list[object]:
    """The values of several lines of JSON; none if any line is something else."""
    lines = text.rstrip().rstrip("`").split("\n")
    try:
        return [orjson.loads(line) for line in lines if line.strip()] if len(lines) > 1 else []
    except orjson.JSONDecodeError:
        return []


def _with_escaped_latex(body: str) -> str:
    """JSON whose stray backslashes, as in "\\(x\\)", are doubled."""
    return _BROKEN_ESCAPE.sub(lambda match: match.group() if match.group(1) is None else f"\\{match.group()}", body)


def _closes(body: str) -> bool:
    return body.rstrip().rstrip("`").rstrip().endswith(("}", "]"))
