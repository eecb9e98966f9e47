"""The problems of a benchmark, wherever they come from."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from ..errors import InputError, RecordError, UsageError
from ..layouts.problems import read_problem
from ..layouts.reading import FirstLook, Reading, RowRead
from ..records.data import Problem
from ..store.artifacts import Store
from ..store.jsonl import encode
from ..store.source import STDIN, Quarantine, Source, located_records
from ..store.tables import HUB, HubDataset
from .base import Task
from .named import TASKS, task_of

DATA_SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".arrow", ".gz", ".zst")


@dataclass(frozen=True)
class TaskData:
    """A task with its problems. `source` is what errors call their origin, `digest` identifies their content.

    `code` is a digest of the package that the task is of, empty for ours and for files.
    """

    name: str
    task: Task
    source: str
    digest: str
    problems: tuple[Problem, ...]
    code: str = ""


def read_task(name: str, store: Store, data: str | None = None, columns: tuple[tuple[str, str], ...] = ()) -> TaskData:
    """The problems of a task of `TASKS`, or of any file or `hf://` dataset with problems and answers.

    Args:
        data: a file or address that is read in place of the named task's own.
        columns: which of its columns hold what, see `Reading`.

    Raises:
        UsageError: there is no such task, and no such file.
        InputError: the problems cannot be had, there are none, or two have one id. RecordError: one is no problem.
        MachineError: the package that adds the task cannot be imported.
    """
    if name not in TASKS and (data or not _is_readable(name)):
        hint = f"Known tasks: {', '.join(TASKS)}; or give a file or an hf:// dataset with problem and answer"
        raise UsageError(f"{name!r} is no task and no file" if not data else f"{name!r} is no task", hint)
    task, code = task_of(name), TASKS.source(name)
    if name in TASKS and data and not task.address.startswith(HUB):
        raise UsageError(f"--data: the problems of {name} are embedded", "Give the file in the place of the task")
    if name in TASKS and columns and not data:
        raise UsageError(f"--columns: those of {name} are known", "Leave it out, or give a file")
    if name in TASKS and not task.address:
        return _made(name, task, code)
    source = open_dataset(data or task.address or name, store)
    # How a task's own data is laid out is nothing that its user could have got wrong.
    on_note = store.on_note if data or not task.address else lambda text: None
    problems = tuple(_distinct(source, Reading(columns), on_note))
    return TaskData(name, task, source.label, source.digest, problems, code)


def open_dataset(address: str, store: Store) -> Source:
    """A readable source of a file, standard input or a hub dataset, which is downloaded once.

    Raises InputError with the command that gets the dataset, where it is not here and cannot be downloaded.
    """
    if not address.startswith(HUB):
        return Source.open(address, store)
    hub = HubDataset.parse(address)
    if Path(hub.path).is_dir():
        return Source.open(address, store)
    folder = _download(hub)
    digest = f"{folder.name}/{hub.name}/{hub.split}"
    return Source(Path(), address, digest, HubDataset(str(folder), hub.split, hub.name))


def _is_readable(name: str) -> bool:
    return name == STDIN or name.startswith(HUB) or Path(name).is_file()


def _made(name: str, task: Task, code: str) -> TaskData:
    """The problems that a task makes. Raises InputError if there are none, or two have one id."""
    problems, ids = tuple(task.problems()), set[str]()
    for problem in problems:
        if problem.id in ids:
            raise InputError(f"task {name!r}: two problems have the id {problem.id!r}", "Give each one its own")
        ids.add(problem.id)
    if not problems:
        raise InputError(f"task {name!r}: makes no problems", "Correct the package that adds it")
    digest = hashlib.sha256(b"".join(map(encode, problems))).hexdigest()
    return TaskData(name, task, f"task {name}", digest, problems, code)


def _distinct(source: Source, reading: Reading, on_note: Callable[[str], None]) -> Iterator[Problem]:
    positions = itertools.count(1)

    def read(row: object) -> RowRead[Problem]:
        return read_problem(row, next(positions), reading)

    look = FirstLook(source.label, "problem", on_note)
    places: dict[str, str] = {}
    for line, problem in located_records(source, look.over(read), Quarantine()):
        if problem.id in places:
            what = f"id {problem.id!r} is that of {places[problem.id]} too"
            hint = "Give every problem an id of its own, or name another column: --columns id=NAME"
            raise RecordError(line.where, what, hint)
        places[problem.id] = line.where
        yield problem


def _download(hub: HubDataset) -> Path:
    """The folder of the dataset's files in the hub's cache, named by the commit."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub.path, repo_type="dataset", revision=hub.revision))
    except Exception as error:  # noqa: BLE001 - the hub client raises whatever its HTTP library does
        if folder := _downloaded_before(hub):
            return folder
        reason = shorten(str(error) or type(error).__name__, 90, placeholder=" ...").rstrip(".")
        command = f"hf download {hub.path} --repo-type dataset"
        command += f" --revision {hub.revision}" if hub.revision else ""
        hint = f"Where there is a network: {command}. Or give its rows with --data FILE"
        raise InputError(f"{HUB}{hub.path}: is not here, and no download ({reason})", hint) from None


def _downloaded_before(hub: HubDataset) -> Path | None:
    """A cached folder of which the hub client cannot tell whether it is complete, if it holds data at all."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub.path, repo_type="dataset", revision=hub.revision, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        return None
    return folder if any(file.suffix in DATA_SUFFIXES for file in folder.rglob("*")) else None
