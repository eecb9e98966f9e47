"""What is not the same in two artifacts, and in the code that made them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..records.data import ArtifactInfo, Code

SHOWN_FILES = 3
ABSENT = "absent"


def differences(old: ArtifactInfo, new: ArtifactInfo) -> Iterator[tuple[str, str]]:
    """Each difference in how two artifacts were made, as its name and what it is: `config.seed`, `0 -> 1`.

    Values are JSON. Settings inside others have dotted names. Of code the files and libraries are named, or only its
    digest where an older srx kept neither.
    """
    mine, theirs = (_flat({"stage": info.stage, "config": info.config, "inputs": info.inputs}) for info in (old, new))
    for name in dict.fromkeys((*mine, *theirs)):
        before, after = mine.get(name, ABSENT), theirs.get(name, ABSENT)
        if before != after:
            yield name, f"{before} -> {after}"
    if old.code != new.code:
        yield from _of_artifacts(old, new)
    before, after = (", ".join(code.digest for code in info.begun) or "this code" for info in (old, new))
    if before != after:
        yield "begun with", f"{before} -> {after}"


def described(old: Code, new: Code) -> str:
    """The differences of two codes in a few words: `split/budget.py and 4 more; torch 2.13.0 -> 2.13.1`."""
    files = [file for file, _ in _files(old, new)]
    more = len(files) - SHOWN_FILES
    shown = ", ".join(files[:SHOWN_FILES]) + (f" and {more:,} more" if more > 0 else "")
    return "; ".join(filter(None, [shown, *(f"{name} {change}" for name, change in _libraries(old, new))]))


def _of_artifacts(old: ArtifactInfo, new: ArtifactInfo) -> Iterator[tuple[str, str]]:
    if not (old.sources and new.sources):
        yield "code", f"{old.code} -> {new.code}, of an srx that did not keep which files"
        return
    codes = [Code(sources=info.sources, libraries=info.libraries) for info in (old, new)]
    yield from ((f"code {file}", change) for file, change in _files(*codes))
    yield from ((f"library {name}", change) for name, change in _libraries(*codes))


def _files(old: Code, new: Code) -> Iterator[tuple[str, str]]:
    for file in sorted({*old.sources, *new.sources}):
        before, after = old.sources.get(file), new.sources.get(file)
        if before != after:
            yield file, "added" if before is None else "removed" if after is None else "changed"


def _libraries(old: Code, new: Code) -> Iterator[tuple[str, str]]:
    for name in sorted({*old.libraries, *new.libraries}):
        before, after = (code.libraries.get(name, "not used") or "not installed" for code in (old, new))
        if before != after:
            yield name, f"{before} -> {after}"


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The leaves of nested mappings as JSON, under dotted names."""
    found: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            found |= _flat(item, f"{prefix}{name}.")
        else:
            found[prefix + name] = json.dumps(item, ensure_ascii=False)
    return found
