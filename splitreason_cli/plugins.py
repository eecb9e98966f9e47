"""Things by name: our own, and what installed packages add to them by an entry point group."""

import contextlib
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from .calls import read_call
from .errors import MachineError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

T = TypeVar("T")
Made = TypeVar("Made")


class Registry(Mapping[str, T], Generic[T]):
    """Our own things of one sort and those of other packages.

    Names are known without importing a package; what a name stands for is imported when it is asked for, so that a
    package that is broken breaks nothing that does without it. So does a name that stands for two things.

    Args:
        what: what one of them is called, such as `task`.
        group: the entry point group, such as `srx.tasks`.
        own: ours by name.
        base: the class that those of other packages must be subclasses of; None for anything that can be called.
    """

    def __init__(self, what: str, group: str, own: Mapping[str, T], base: type | None = None) -> None:
        self.what, self.group, self.own, self._base = what, group, own, base

    def __getitem__(self, name: str) -> T:
        """Raises KeyError for an unknown name.

        Raises MachineError for a package that cannot be imported, and for a name that several have.
        """
        point = self._point(name)
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
        """A digest of the package that adds this, for the keys of results; empty for our own. Raises MachineError.

        It covers the package's files, whatever is in them, and the versions of what it says that it needs.
        """
        point = self._point(name)
        return "" if point is None else _source(point)

    def _points(self) -> "dict[str, list[EntryPoint]]":
        return _entry_points(self.group, tuple(sys.path))

    def _point(self, name: str) -> "EntryPoint | None":
        """Where another package has the thing; None for ours."""
        points = self._points().get(name, [])
        packages = [_package(point) for point in points]
        if packages and name in self.own:
            hint = "Give it another name there, or remove the package: pip uninstall " + packages[0]
            raise MachineError(f"{self.what} {name!r} is ours and also in the package {packages[0]}", hint)
        if len(points) > 1:
            hint = "Remove all but one, such as by pip uninstall " + packages[-1]
            raise MachineError(f"{self.what} {name!r} is in several packages: {', '.join(packages)}", hint)
        return points[0] if points else None

    def _loaded(self, point: "EntryPoint") -> T:
        package = _package(point)
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
    """As `read_call`, of a text that the user wrote. Raises UsageError."""
    try:
        return read_call(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


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
def _entry_points(group: str, search_path: tuple[str, ...]) -> "dict[str, list[EntryPoint]]":
    """By name. Which packages there are depends on the search path."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    return found


def _package(point: "EntryPoint") -> str:
    return point.dist.name if point.dist else point.module


def _source(point: "EntryPoint") -> str:
    """A digest of the entry point, of all files that its package installed or has beside its code, and of its needs."""
    files = _module_files(point.module)
    digest = hashlib.sha256(point.value.encode())
    if point.dist:
        files |= _installed_files(point.dist)
        digest.update(repr(_versions(point.dist)).encode())
        if not files:
            digest.update(point.dist.version.encode())
    for name, file in sorted(files.items()):
        digest.update(repr((name, hashlib.sha256(file.read_bytes()).hexdigest())).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _module_files(module: str) -> dict[str, Path]:
    """By name: a module's file, or all of the package's, above which there may be name spaces."""
    from importlib.util import find_spec

    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        # Neither a module nor a package is imported by this, only the name spaces around it.
        spec = find_spec(".".join(parts[:depth]))
        if spec is None:
            break
        if spec.origin and Path(spec.origin).is_file():
            base = "/".join(parts[: depth - 1])
            folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
            inside = [(folder.parent, file) for folder in folders for file in folder.rglob("*")]
            files = inside or [(Path(spec.origin).parent, Path(spec.origin))]
            return _kept((f"{base}/{file.relative_to(top).as_posix()}".lstrip("/"), file) for top, file in files)
    return {}


def _installed_files(distribution: "Distribution") -> dict[str, Path]:
    """By name: what an installer has noted. Of an editable install that is only how its code is found."""
    return _kept((str(name), Path(str(distribution.locate_file(name)))) for name in distribution.files or ())


def _kept(files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Those that a package may read, without what installers and Python write, which differs from place to place."""
    return {name: file for name, file in files if not _INSTALLER_S.search(name) and file.is_file()}


_INSTALLER_S = re.compile(
    r"""
    (^|/)(\.|__pycache__/|[^/]+\.(dist|egg)-info/)   # hidden, above the folder, compiled, notes of installers
    | \.py[co]$
    | ^__editable__ | \.(pth|egg-link)$
    """,
    re.VERBOSE,
)


def _versions(distribution: "Distribution") -> list[tuple[str, str]]:
    """The versions of those packages that are installed among the ones that a package says it needs."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for requirement in distribution.requires or ():
        name = re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]
        with contextlib.suppress(PackageNotFoundError, ValueError):
            found.append((name, version(name)))
    return sorted(found)
