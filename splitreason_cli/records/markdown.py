"""Tables of cards on the Hugging Face hub, which tell nothing of the machine they were made on."""

import re
from collections.abc import Sequence


def setting(value: object) -> str:
    """The value of a setting as people read it."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return public(value) if isinstance(value, str) else str(value)


def public(name: str) -> str:
    """A name without the folders of the machine it was made on; names on the Hub have one slash and stay."""
    prefix, colon, path = name.rpartition(":")
    looks_local = path.startswith((".", "/", "~")) or path.count("/") > 1 or re.search(r"\.jsonl?(\.\w+)?$", path)
    return prefix + colon + (path.rstrip("/").rpartition("/")[2] if looks_local else path)


def cell(text: str) -> str:
    """Text that cannot break out of a table's cell."""
    return " ".join(text.replace("|", "\\|").split())


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; nothing without rows."""
    if not rows:
        return ""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))
