"""Flag values that typer has no type for."""

import shlex
from collections.abc import Sequence

from ..errors import UsageError
from ..layouts.reading import ROLES, TRACE_ROLES
from ..records.markup import SpanTags
from ..split.budget import parse_share
from ..split.latency import Rates


def share(flag: str, text: str) -> float:
    """Read a share such as 5% or 0.05. Raises UsageError naming the flag."""
    try:
        return parse_share(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None


def arguments(flag: str, text: str) -> tuple[str, ...]:
    """Read further arguments of another program as a shell would. Raises UsageError naming the flag."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{flag}: {text!r}: {error}") from None


def names(text: str) -> list[str]:
    """Read a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


_WRITTEN = {"problem", *TRACE_ROLES, "response"} - {"messages"}
"""Roles of which no column holds two; a chat holds a problem and a solution."""


def columns(given: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    """Read `role=column` pairs such as problem=question,answer=final_answer. Raises UsageError."""
    pairs: list[tuple[str, str]] = []
    for part in names(",".join(given or ())):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column or role not in ROLES:
            raise UsageError(f"--columns: {part!r} is no role and its column. Roles: {', '.join(ROLES)}")
        if role != "generations" and role in dict(pairs):
            raise UsageError(f"--columns: two columns for {role}. Give one")
        if other := next((name for name, taken in pairs if taken == column and {name, role} <= _WRITTEN), None):
            raise UsageError(f"--columns: {column!r} cannot be both {other} and {role}. Give another one")
        pairs.append((role, column))
    if len(traces := [role for role in TRACE_ROLES if role in dict(pairs)]) > 1:
        raise UsageError(f"--columns: {' and '.join(traces)} both hold the trace. Give one of them")
    return tuple(pairs)


def tags(text: str) -> SpanTags:
    """Read an opening and a closing tag, or several of those, such as <hard>,</hard>. Raises UsageError."""
    try:
        return SpanTags.read(text)
    except ValueError as error:
        raise UsageError(f"--tags: {error}") from None


def budgets(text: str) -> list[float | None]:
    """Read a comma-separated list of shares; `none` is no cap."""
    return [None if name == "none" else share("--offload-budget", name) for name in dict.fromkeys(names(text))] or [
        None
    ]


def shard(text: str) -> str:
    """Check `i/n`, the i-th of n parts counted from 0. Raises UsageError."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise UsageError(f"--shard: {text!r} is no part of a whole. Write i/n with i from 0 to n-1, such as 0/8")
    return text


def price(text: str | None) -> tuple[float, float] | None:
    """Read dollars per million prompt and completion tokens, such as 0.27/1.10. Raises UsageError."""
    if text is None:
        return None
    try:
        prompt, completion = (float(part) for part in text.split("/"))
    except ValueError:
        raise UsageError(
            f"--price: {text!r} is no pair of prices. Write dollars per million tokens: 0.27/1.10"
        ) from None
    if min(prompt, completion) < 0:
        raise UsageError(f"--price: {text!r} is negative")
    return prompt, completion


def rates(flag: str, text: str) -> Rates:
    """Read prefilled and decoded tokens a second, such as 30000/150. Raises UsageError naming the flag."""
    try:
        prefill, decode = (float(part) for part in text.split("/"))
        return Rates(prefill, decode)
    except ValueError:
        raise UsageError(
            f"{flag}: {text!r} is no pair of rates. Write prefilled and decoded tokens a second: 30000/150"
        ) from None
