"""Things by name: our own, and what installed packages add to them by an entry point group."""

import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from .errors import MachineError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
Made = TypeVar("Made")


class Registry(Mapping[str, T], Generic[T]):
    """Our own things of one sort and those of other packages, which win over ours of the same name.

    Names are known without importing a package; what a name stands for is imported when it is asked for, so that a
    package that is broken breaks nothing that does without it.

    Args:
        what: what one of them is called, such as `task`.
        group: the entry point group, such as `srx.tasks`.
        own: ours by name.
        base: the class that those of other packages must be subclasses of; None for anything that can be called.
    """

    def __init__(self, what: str, group: str, own: Mapping[str, T], base: type | None = None) -> None:
        self.what, self.group, self.own, self._base = what, group, own, base

    def __getitem__(self, name: str) -> T:
        """Raises KeyError for an unknown name, MachineError for a package that cannot be imported."""
        point = self._points().get(name)
        return self.own[name] if point is None else self._loaded(point)

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*self.own, *self._points()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._points()

    def find(self, name: str) -> T:
        """What the name stands for. Raises UsageError with the known names, MachineError."""
        if name not in self:
            raise UsageError(f"unknown {self.what} {name!r}", f"Known are {', '.join(self)}")
        return self[name]

    def source(self, name: str) -> str:
        """A digest of the code of the package that adds this, for the keys of results; empty for our own."""
        point = self._points().get(name)
        return "" if point is None else _source(point)

    def _points(self) -> "dict[str, EntryPoint]":
        return _entry_points(self.group, tuple(sys.path))

    def _loaded(self, point: "EntryPoint") -> T:
        package = point.dist.name if point.dist else point.module
        whose = f"{self.what} {point.name!r} of the package {package}"
        try:
            # Importing runs whatever the package holds.
            found: T = point.load()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(". ")
            hint = f"Correct the package, or remove it: pip uninstall {package}"
            raise MachineError(f"{whose} cannot be loaded ({reason})", hint) from error
        if self._base is None and not callable(found):
            raise MachineError(f"{whose} is no function", f"Correct {point.value}")
        if self._base is not None and not (isinstance(found, type) and issubclass(found, self._base)):
            expected = f"{self._base.__module__}.{self._base.__qualname__}"
            raise MachineError(f"{whose} is no subclass of {expected}", f"Correct {point.value}")
        return found


def parse_call(text: str) -> tuple[str, tuple[str, ...]]:
    """The name and the arguments of something written as `name` or `name(argument, ...)`. Raises UsageError."""
    match = re.fullmatch(r"\s*([A-Za-z_][\w-]*)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if not match:
        raise UsageError(f"{text!r} is no name", "Write a name, maybe with arguments in parentheses, such as name(16)")
    arguments = (part.strip() for part in (match[2] or "").split(","))
    return match[1], tuple(filter(None, arguments))


def call(made_by: Callable[..., Made], text: str, arguments: tuple[str, ...]) -> Made:
    """What a class makes of the arguments in `text`. Raises UsageError if it does not take them, or a ValueError."""
    try:
        inspect.signature(made_by).bind(*arguments)
    except TypeError as error:
        raise UsageError(f"{text!r}: {error}", "Correct what stands in the parentheses") from None
    try:
        return made_by(*arguments)
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from None


@lru_cache
def _entry_points(group: str, search_path: tuple[str, ...]) -> "dict[str, EntryPoint]":
    """By name. Which packages there are depends on the search path."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=group)}


def _source(point: "EntryPoint") -> str:
    """A digest of the module's file, or of the package's, above which there may be name spaces; else its version."""
    from importlib.util import find_spec

    parts = point.module.split(".")
    for depth in range(1, len(parts) + 1):
        # Neither a module nor a package is imported by this, only the name spaces around it.
        spec = find_spec(".".join(parts[:depth]))
        if spec is None:
            break
        if spec.origin and Path(spec.origin).is_file():
            folders = spec.submodule_search_locations
            files = [file for folder in folders for file in Path(folder).rglob("*.py")] if folders else []
            return _digest(files or [Path(spec.origin)])
    return point.dist.version if point.dist else "unknown"


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
