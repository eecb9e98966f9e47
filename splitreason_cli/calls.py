"""How people write a thing and its arguments: `name` or `name(argument, ...)`."""

import re


def read_call(text: str) -> tuple[str, tuple[str, ...]]:
    """The name and the arguments, without the space around them; empty ones are none. Raises ValueError."""
    match = re.fullmatch(r"\s*([A-Za-z_][\w-]*)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if not match:
        raise ValueError(f"{text!r} is no name. Write one, maybe with arguments in parentheses, such as name(16)")
    arguments = (part.strip() for part in (match[2] or "").split(","))
    return match[1], tuple(filter(None, arguments))
