"""bench compare: the paired comparison of two runs that are there already."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InputError, UsageError
from ..records.data import BenchComparison, BenchResult, Extract, Generation, Record, SchemaError, label
from ..split.budget import parse_share
from ..store.artifacts import Artifact, Store
from ..store.jsonl import decode, read_lines
from ..store.source import STDIN, Quarantine, Source, read_records
from .comparison import Key, compare


@dataclass
class SystemVerdicts:
    """The verdicts of one system, the texts of its problems by id, and the task if that is known.

    `extracts` says where answers were looked for.
    """

    task: str = ""
    extracts: set[Extract] = field(default_factory=set)
    verdicts: dict[str, list[bool]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, generation: Generation) -> None:
        self.problems[generation.id] = generation.problem
        self.extracts.add(generation.extract)
        if generation.correct is not None:
            self.verdicts.setdefault(generation.id, []).append(generation.correct)


def bench_compare(mine: str, theirs: str, store: Store) -> list[tuple[BenchComparison, str]]:
    """Compare two runs, the first less the second, with what is to be warned of.

    Args:
        mine, theirs: a file of `--generations` or `--out`, or a key of the store; `:system` or `:system@5%` behind it
            picks one of several systems. Where none is picked of several, those of the same name are compared.

    Raises:
        UsageError: it is not clear what to compare. InputError: there is no such run, it has no generations, or the
            answers of one were looked for in another way.
    """
    first, second = _runs(mine, store), _runs(theirs, store)
    if len(first) == len(second) == 1:
        pairs = [(next(iter(first)), next(iter(second)))]
    else:
        pairs = [(key, key) for key in first if key in second]
    if not pairs:
        names = "; ".join(", ".join(label(*key) for key in runs) for runs in (first, second))
        raise UsageError(f"it is not clear what to compare: {names}", f"Pick one of each, such as {mine}:split@5%")
    for a, b in pairs:
        _require_same_problems(first[a].problems, second[b].problems)
        _require_same_extraction(first[a].extracts | second[b].extracts)
    return [compare(first[a].task or second[b].task, first[a].verdicts, second[b].verdicts, a, b) for a, b in pairs]


def _require_same_problems(mine: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    shared = [name for name in mine if name in theirs]
    if not shared:
        raise InputError("the runs have no problem in common", "Compare runs of one task")
    for name in shared:
        if mine[name] != theirs[name]:
            raise InputError(f"problem {name!r} is another one in each run", "Compare runs of one task")


def _require_same_extraction(extracts: set[Extract]) -> None:
    if len(extracts) > 1:
        what = f"the answers of these runs were looked for in different ways: {', '.join(sorted(extracts))}"
        raise InputError(what, "Grade both alike: srx bench TASK --from GENERATIONS --extract ...")


def _runs(reference: str, store: Store) -> dict[Key, SystemVerdicts]:
    """What a reference holds, or the one that it picks."""
    place, picked = reference, None
    if reference != STDIN and not Path(reference).is_file() and ":" in reference:
        place, _, name = reference.rpartition(":")
        picked = _key(name)
    held = _held(place, store)
    if picked is None:
        return held
    if picked not in held:
        raise InputError(f"{place} has no {label(*picked)}", f"It has {', '.join(label(*key) for key in held)}")
    return {picked: held[picked]}


def _key(name: str) -> Key:
    system, _, budget = name.partition("@")
    try:
        return system, parse_share(budget) if budget not in ("", "none") else None
    except ValueError as error:
        raise UsageError(f"{name!r}: {error}") from None


def _held(place: str, store: Store) -> dict[Key, SystemVerdicts]:
    if place != STDIN and not Path(place).is_file():
        try:
            return _of_artifact(store.get(place))
        except InputError as error:
            hint = "Give a file of --generations or --out, or a key of the store"
            raise InputError(f"{place!r} is no file, and in the store {error.message}", hint) from None
    held: dict[Key, SystemVerdicts] = {}
    found: dict[Key, SystemVerdicts] = {}
    for record in read_records(Source.open(place, store), _record, Quarantine()):
        if isinstance(record, Generation):
            held.setdefault((record.system, record.offload_budget), SystemVerdicts()).add(record)
        elif isinstance(record, BenchResult):
            found |= _of_result(record, store)
    return {**found, **held}


def _record(value: object) -> Record:
    """A record that may stand in such a file. Raises SchemaError."""
    kind = value.get("kind") if isinstance(value, dict) else None
    kinds: dict[str, type[Record]] = {cls.kind: cls for cls in (Generation, BenchResult, BenchComparison)}
    if kind not in kinds:
        raise SchemaError(f"expected a record of kind {' or '.join(map(repr, kinds))}, got {kind!r}")
    return kinds[kind].from_dict(value)


def _of_result(result: BenchResult, store: Store) -> dict[Key, SystemVerdicts]:
    if not result.artifact:
        name = label(result.system, result.offload_budget)
        raise InputError(f"the result of {name} names no generations", "Give the file of --generations instead")
    try:
        runs = _of_artifact(store.get(result.artifact))
    except InputError as error:
        what = (
            f"the generations of {label(result.system, result.offload_budget)} are not in this store: {error.message}"
        )
        raise InputError(what, "Give the file of --generations instead") from None
    return {key: replace(run, task=result.task) for key, run in runs.items()}


def _of_artifact(artifact: Artifact) -> dict[Key, SystemVerdicts]:
    task, held = str(artifact.info.config.get("task", "")), dict[Key, SystemVerdicts]()
    for line in read_lines(artifact.records):
        generation = decode(line, Generation.from_dict)
        held.setdefault((generation.system, generation.offload_budget), SystemVerdicts(task)).add(generation)
    return held
