"""How often each sort of fault was found, in one line for people."""

import re
from collections import Counter
from collections.abc import Iterable

SHOWN = 6
"""Sorts that are named; the others are counted together."""


def counted(reasons: Iterable[str]) -> str:
    """The sorts of these reasons, most frequent first, such as `3 unclosed, 1 nested`; empty without any."""
    counts = Counter(map(_sort, reasons)).most_common()
    named = [f"{count:,} {sort}" for sort, count in counts[:SHOWN]]
    if others := sum(count for _, count in counts[SHOWN:]):
        named.append(f"{others:,} others")
    return ", ".join(named)


def _sort(reason: str) -> str:
    """The beginning of a reason, without what differs from record to record."""
    head = re.split(r"[.:;]\s", reason, maxsplit=1)[0]
    return re.sub(r"\d[\d,.]*", "N", re.sub(r"(?<!field )'[^']*'", "'...'", head))[:80]
