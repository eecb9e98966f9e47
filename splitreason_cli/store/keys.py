"""API keys, which come from the environment and from nowhere else."""

import os
import re

from ..errors import UsageError


def read_key(variable: str | None, flag: str) -> str | None:
    """The key in an environment variable; None if none is named. Raises UsageError, which never holds the key."""
    if variable is None:
        return None
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable):
        # It may be the key itself, which must not be repeated.
        hint = f"Write {flag} MY_API_KEY and export the key under that name"
        raise UsageError(f"{flag} takes the name of an environment variable, in capitals", hint)
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(
            f"{flag}: the environment variable {variable} is empty or not set", "Export it, then run again"
        )
    return key
