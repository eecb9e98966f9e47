"""The artifact store: results addressed by what made them, published whole, resumable until then.

    artifacts/<stage>/<key>   meta.json, records.jsonl, rejected.jsonl, or a model folder
    work/<key>                the same, unfinished, and begun.json; a rerun goes on here
    afresh/<key>              what a run of several artifacts that began afresh has begun so far; gone once it is whole
    replies/<annotator>/      what annotating models replied, kept for every run that asks the same
    spool/                    copies of standard input

An artifact's key is a digest of stage, code, resolved configuration and input digests, so the same command finds it
and any change misses it. `os.rename` of the finished folder publishes it: it is there completely or not at all.
Unfinished work is found without its code, so that a newer srx goes on with it; the artifact says so. Whoever only reads
writes nothing, so that a store may be read-only.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson
import platformdirs
from filelock import FileLock, Timeout

from ..errors import InputError, MachineError
from ..records.data import ArtifactInfo, Code
from .afresh import Afresh
from .differences import described
from .jsonl import disk_fault, write_atomically

RECORDS = "records.jsonl"
REJECTED = "rejected.jsonl"
META = "meta.json"
BEGUN = "begun.json"
"""What unfinished work was made with, see `Begun`."""


@dataclass(frozen=True)
class Recipe:
    """What an artifact is made from. `inputs` maps names to digests, `config` is the resolved configuration."""

    stage: str
    config: dict[str, Any]
    inputs: dict[str, str]
    code: Code

    @property
    def key(self) -> str:
        """The content address: 16 hexadecimal digits."""
        return _digest({**self._work, "code": self.code.digest})

    @property
    def work_key(self) -> str:
        """The address of the unfinished work, which is the same for every version of the code."""
        return _digest(self._work)

    @property
    def _work(self) -> dict[str, Any]:
        return {"stage": self.stage, "config": self.config, "inputs": self.inputs}


@dataclass(frozen=True)
class Artifact:
    """A folder and what made it. `unfinished` is empty once it is published, else it says what is left to do."""

    path: Path
    info: ArtifactInfo
    unfinished: str = ""

    @property
    def records(self) -> Path:
        return self.path / RECORDS

    @property
    def rejected(self) -> Path:
        return self.path / REJECTED


@dataclass(frozen=True)
class Begun:
    """Under what unfinished work was made: all codes so far, oldest first.

    `replaces` is set if it began afresh: the key of the artifact that it is to replace, which no longer counts.
    """

    codes: tuple[Code, ...] = ()
    replaces: str = ""

    @classmethod
    def of(cls, work: Path) -> "Begun":
        """What a folder of work says of itself; nothing if it is not there or says nothing."""
        try:
            return msgspec.json.decode((work / BEGUN).read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.ValidationError):
            return cls()


class Store:
    """A folder of artifacts. Raises MachineError wherever the folder cannot be written.

    Args:
        on_note: called with what people should know of the work that is found.
        fresh: neither take nor go on with anything that was not begun through this object.
    """

    def __init__(self, root: Path, on_note: Callable[[str], None] = lambda text: None, *, fresh: bool = False) -> None:
        self.root, self.on_note = root, on_note
        self._afresh = Afresh() if fresh else None

    @classmethod
    def default(cls, on_note: Callable[[str], None] = lambda text: None, *, fresh: bool = False) -> "Store":
        """The store at `$SRX_HOME`, else in the user's data folder (`$XDG_DATA_HOME/srx`)."""
        home = os.environ.get("SRX_HOME")
        return cls(Path(home) if home else platformdirs.user_data_path("srx"), on_note, fresh=fresh)

    @property
    def is_afresh(self) -> bool:
        """Whether what was done before is not to count."""
        return self._afresh is not None

    def artifact_path(self, recipe: Recipe) -> Path:
        return self.root / "artifacts" / recipe.stage / recipe.key

    def work_path(self, recipe: Recipe) -> Path:
        return self.root / "work" / recipe.work_key

    def find(self, recipe: Recipe) -> Artifact | None:
        """The finished artifact of this recipe, if there is one and nobody has begun to replace it."""
        if self._is_from_before(recipe):
            return None
        path = self.artifact_path(recipe)
        is_taken = (path / META).exists() and Begun.of(self.work_path(recipe)).replaces != recipe.key
        return _load(path) if is_taken else None

    def _is_from_before(self, recipe: Recipe) -> bool:
        return self._afresh is not None and recipe.key not in self._afresh

    @contextlib.contextmanager
    def run(self, recipe: Recipe) -> Iterator[None]:
        """The making of several artifacts, not all of which are known when it begins; `recipe` stands for all of them.

        Begun afresh it is afresh to its end, also for a process that goes on with it, whose store is not.
        """
        file, before = self.root / "afresh" / recipe.key, self._afresh
        self._afresh = before or Afresh.left_in(file)
        if self._afresh:
            self.folder("afresh")
            self._afresh.keep(file)
        try:
            yield
            if self._afresh:
                self.remove(file)
        finally:
            if self._afresh:
                self._afresh.keep(None)
            self._afresh = before

    def folder(self, *parts: str) -> Path:
        """A folder of the store, created if need be."""
        path = self.root.joinpath(*parts)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            fault = disk_fault(path, error)
            fault.hint = "Point SRX_HOME at a folder that you may write"
            raise fault from None
        return path

    @contextlib.contextmanager
    def work(self, recipe: Recipe, *, resumes: bool = True) -> Iterator[Path]:
        """The recipe's unfinished folder, locked against a second process doing the same with any version of the code.

        Without `resumes` it is empty. Raises MachineError if there is such a process.
        """
        try:
            with FileLock(self.folder("locks") / recipe.work_key, timeout=0):
                path = self.folder("work", recipe.work_key)
                self._begin(path, recipe, resumes=resumes)
                yield path
        except Timeout:
            hint = "Wait for it, then run the command again"
            raise MachineError("another srx process is making the same artifact", hint) from None

    def _begin(self, work: Path, recipe: Recipe, *, resumes: bool) -> None:
        """Note in the folder what code goes on with it, and say so if another one began."""
        begun = Begun.of(work)
        is_afresh = self._is_from_before(recipe)
        # A folder that is being removed loses its files in any order.
        if is_afresh or not resumes or not begun.codes or not _holds_work(work):
            self.remove(work)
            begun = Begun(replaces=recipe.key if is_afresh else begun.replaces)
            self.folder("work", recipe.work_key)
        if others := [code for code in begun.codes if code != recipe.code]:
            changes = described(others[0], recipe.code)
            self.on_note(f"going on with work that another version of srx began (changed: {changes})")
        if recipe.code not in begun.codes:
            begun = replace(begun, codes=(*begun.codes, recipe.code))
        write_atomically(work / BEGUN, iter([msgspec.json.encode(begun)]))
        if self._afresh and is_afresh:
            self._afresh.add(recipe.key)

    def draft(self, recipe: Recipe, work: Path, records: int, unfinished: str = "") -> Artifact:
        """The work folder as an artifact that is not published; `unfinished` says what is left to do and how."""
        info = self._info(recipe, work, records, work)
        return Artifact(work, info, unfinished)

    def publish(self, recipe: Recipe, work: Path, records: int) -> Artifact:
        """Turn a finished work folder into the artifact of its recipe, replacing one if the work began afresh."""
        target = self.artifact_path(recipe)
        self.folder("artifacts", recipe.stage)
        info = self._info(recipe, work, records, target)
        write_atomically(work / META, iter([orjson.dumps(info.to_dict(), option=orjson.OPT_INDENT_2)]))
        if (target / META).exists() and Begun.of(work).replaces != recipe.key:
            # Another process published between our look and our lock.
            self.remove(work)
            return _load(target)
        self._put(work, target)
        return Artifact(target, info)

    def _put(self, work: Path, target: Path) -> None:
        """Rename `work` to `target`; what was there is deleted once the new one is in its place."""
        # Where `garbage` finds it if this process is killed in between.
        aside = self.folder("work") / f"{target.name}.replaced"
        self.remove(aside)
        try:
            if target.exists():
                target.rename(aside)
            try:
                work.rename(target)
            except OSError:
                if aside.exists():
                    aside.rename(target)
                raise
            (target / BEGUN).unlink()
        except OSError as error:
            raise disk_fault(target, error) from None
        self.remove(aside)

    def _info(self, recipe: Recipe, work: Path, records: int, path: Path) -> ArtifactInfo:
        files = [file for file in work.rglob("*") if file.is_file() and file != work / BEGUN]
        return ArtifactInfo(
            key=recipe.key,
            stage=recipe.stage,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            records=records,
            bytes=sum(file.stat().st_size for file in files),
            path=str(path),
            # As it is read back, without tuples.
            config=orjson.loads(orjson.dumps(recipe.config)),
            inputs=recipe.inputs,
            code=recipe.code.digest,
            sources=recipe.code.sources,
            libraries=recipe.code.libraries,
            begun=tuple(code for code in Begun.of(work).codes if code != recipe.code),
        )

    def artifacts(self) -> list[Artifact]:
        """All finished artifacts, oldest first."""
        found = [_load(meta.parent) for meta in self.root.glob(f"artifacts/*/*/{META}")]
        return sorted(found, key=lambda artifact: (artifact.info.created, artifact.info.key))

    def get(self, prefix: str) -> Artifact:
        """The artifact whose key starts with `prefix`. Raises InputError if none or several do."""
        found = [artifact for artifact in self.artifacts() if artifact.info.key.startswith(prefix)]
        if len(found) != 1:
            what = "no artifact" if not found else f"{len(found)} artifacts"
            raise InputError(f"{what} with a key that starts with {prefix!r}", "See the keys with: srx store ls")
        return found[0]

    def garbage(self, older_than_days: float) -> list[Path]:
        """Artifacts, and what else lies in the store but paid replies, that nobody has written to for so many days."""
        limit = datetime.now(UTC).timestamp() - older_than_days * 86_400
        places = ("artifacts/*/*", "work/*", "afresh/*", "spool/*", "locks/*")
        return sorted(path for place in places for path in self.root.glob(place) if _newest(path) < limit)

    def collect(self, path: Path) -> int | None:
        """Delete garbage; returns the bytes freed, None if it is left to a process that works on it."""
        if path.parent.name not in ("work", "locks"):
            return self.remove(path)
        try:
            lock = self.folder("locks") / path.name
            with FileLock(lock, timeout=0):
                freed = self.remove(path)
                lock.unlink(missing_ok=True)
                return freed
        except Timeout:
            return None

    def remove(self, path: Path) -> int:
        """Delete one of the store's files or folders; returns the bytes freed."""
        size = sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_fault(path, error) from None
        return size


def _load(path: Path) -> Artifact:
    meta = path / META
    try:
        return Artifact(path, ArtifactInfo.from_dict(orjson.loads(meta.read_bytes())))
    except ValueError as error:
        raise InputError(f"{meta}: {error}", f"Remove the folder {path} and run the command again") from None


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _holds_work(work: Path) -> bool:
    return any(file.is_file() and file.stat().st_size for file in work.rglob("*") if file != work / BEGUN)


def _newest(path: Path) -> float:
    return max(file.stat().st_mtime for file in (path, *path.rglob("*")))
