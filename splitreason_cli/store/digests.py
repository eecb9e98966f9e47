"""Digests of files and folders, and of the code that computes a result.

That code is the import closure of a verb's module inside this package, and the versions of libraries. The closure is
read from the syntax, never by importing: all `import` statements of a file count, those inside functions too, as that
is where the heavy ones stand. What stands under `TYPE_CHECKING` computes nothing and does not count.
"""

import ast
import functools
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path

from ..errors import InputError, MachineError
from ..records.data import Code


@functools.cache
def code_of(module: str, libraries: tuple[str, ...] = (), others: tuple[str, ...] = ()) -> Code:
    """The code that a module of this package runs on, the same for the life of this process.

    Args:
        module: its `__name__`. libraries: names of the distributions that compute its result.
        others: further modules of the package that compute it, and that nothing imports from there.

    Raises:
        MachineError: a module of this package has no source file.
    """
    # Files may change under a process, which goes on with what it has loaded.
    top = module.partition(".")[0]
    package = Path(sys.modules[top].__path__[0])
    sources = {name: digest for one in (module, *others) for name, digest in closure(one, package).items()}
    return Code(sources=dict(sorted(sources.items())), libraries=versions(libraries))


def installed(library: str) -> str | None:
    """The version of an installed distribution, None if there is none."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def versions(libraries: Iterable[str], version_of: Callable[[str], str | None] = installed) -> dict[str, str | None]:
    """The libraries by name, sorted, each with its version."""
    return {name: version_of(name) for name in sorted(libraries)}


def closure(module: str, package: Path) -> dict[str, str]:
    """Digests of the files that a module of a package imports, directly or not, its own included.

    Args:
        module: its dotted name, which begins with that of the package.
        package: the package's folder.

    Returns:
        Paths below the folder, sorted, each with the first 16 hexadecimal digits of its SHA-256.

    Raises:
        MachineError: it, or a module that one of the files imports from the package, has no source file.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        file = _file(name, package)
        if file is None:
            raise MachineError(f"no source of the module {name} in {package}", "Install srx again, as plain files")
        source = file.read_bytes()
        found[file.relative_to(package).as_posix()] = hashlib.sha256(source).hexdigest()[:16]
        parent = name.rpartition(".")[0]
        if parent:
            # Importing a.b.c runs a and a.b first.
            waiting.append(parent)
        waiting.extend(_imported(source, name if file.name == "__init__.py" else parent, package))
    return dict(sorted(found.items()))


def _file(module: str, package: Path) -> Path | None:
    """The source file of a module, None if the package has none of that name."""
    top, *parts = module.split(".")
    if top != package.name:
        return None
    folder = package.joinpath(*parts)
    files = [folder / "__init__.py", *([folder.with_name(f"{folder.name}.py")] if parts else [])]
    return next((file for file in files if file.is_file()), None)


def _imported(source: bytes, within: str, package: Path) -> Iterator[str]:
    """The package's modules that a source imports; `within` is the package that its relative imports start from."""
    for level, base, names in _imports(source):
        if level:
            start = within.split(".")
            # Beyond the top stands no module, which the caller finds.
            base = ".".join([*start[: max(0, len(start) - level + 1)], *filter(None, [base])]) or "."
        elif base.partition(".")[0] != package.name:
            continue
        yield base
        yield from (child for name in names if _file(child := f"{base}.{name}", package))


@functools.cache
def _imports(source: bytes) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """Of each import its level (0 is absolute), the module, and the names that are taken from it."""
    found: list[tuple[int, str, tuple[str, ...]]] = []
    for statement in _statements(ast.parse(source).body):
        if isinstance(statement, ast.ImportFrom):
            names = tuple(alias.name for alias in statement.names)
            found.append((statement.level, statement.module or "", names))
        elif isinstance(statement, ast.Import):
            found.extend((0, alias.name, ()) for alias in statement.names)
    return tuple(found)


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All statements but those for type checkers, however deep; no expressions, which hold no imports."""
    for node in nodes:
        yield node
        parts = ("body", "orelse", "finalbody", "handlers", "cases")
        for part in ("orelse",) if isinstance(node, ast.If) and _for_type_checkers(node.test) else parts:
            yield from _statements(getattr(node, part, ()))


def _for_type_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def file_digest(path: Path) -> str:
    """SHA-256 of a file. Raises InputError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", "Check the path") from None


def folder_digest(path: Path) -> str:
    """SHA-256 over the names and contents of a folder's files, hidden ones left out."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in relative.parts):
            digest.update(f"{relative.as_posix()}\0{file_digest(file)}\n".encode())
    return digest.hexdigest()
