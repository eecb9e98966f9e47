"""How often each sort of fault was found, in one line for people."""

import re
from collections import Counter
from collections.abc import Iterable

_NUMBER = r"(?<!HTTP )(?<!UTF-)(?<![\d.])\d[\d,.]*"
_QUOTED = r"(?<!field )(?<!kind )(?<!got )'[^']*'"
"""Names of fields and kinds are what a fault is about; other quotations differ from record to record."""

SHOWN = 6
"""Sorts that are named; the others are counted together."""


def counted(reasons: Iterable[str]) -> str:
    """The sorts of these reasons, most frequent first, such as `3 unclosed, 1 nested`; empty without any."""
    return told(Counter(map(sort_of, reasons)))


def told(sorts: Counter[str]) -> str:
    """The same of sorts that are counted already."""
    counts = sorts.most_common()
    named = [f"{count:,} {sort}" for sort, count in counts[:SHOWN]]
    if others := sum(count for _, count in counts[SHOWN:]):
        named.append(f"{others:,} others")
    return ", ".join(named)


def sort_of(reason: str) -> str:
    """The beginning of a reason, without what differs from record to record."""
    head = re.split(r"[.;]\s|:\s(?![^()]*\))", reason, maxsplit=1)[0]
    return re.sub(_NUMBER, "N", re.sub(_QUOTED, "'...'", head))[:80]
