"""bench compare: the paired comparison of two runs that are there already."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..adapters.jsonl import decode, read_lines
from ..adapters.source import STDIN, Quarantine, Source, read_records
from ..adapters.store import Artifact, Store
from ..core.budget import parse_share
from ..core.comparison import compare
from ..core.records import BenchComparison, BenchResult, Generation, Record, SchemaError, label
from ..errors import InputError, UsageError

Key = tuple[str, float | None]
"""A system and its budget."""


@dataclass(frozen=True)
class Run:
    """The generations of one system, and the task if that is known."""

    task: str
    generations: Sequence[Generation]


def bench_compare(mine: str, theirs: str, store: Store) -> list[tuple[BenchComparison, str]]:
    """Compare two runs, the first less the second, with what is to be warned of.

    Args:
        mine, theirs: a file of `--generations` or `--out`, or a key of the store; `:system` or `:system@5%` behind it
            picks one of several systems. Where none is picked of several, those of the same name are compared.

    Raises:
        UsageError: it is not clear what to compare. InputError: there is no such run, or it has no generations.
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
        _require_same_problems(first[a].generations, second[b].generations)
    return [
        compare(first[a].generations, second[b].generations, first[a].task or second[b].task, a[1], b[1])
        for a, b in pairs
    ]


def _require_same_problems(mine: Sequence[Generation], theirs: Sequence[Generation]) -> None:
    texts = {generation.id: generation.problem for generation in theirs}
    shared = [generation for generation in mine if generation.id in texts]
    if not shared:
        raise InputError("the runs have no problem in common", "Compare runs of one task")
    for generation in shared:
        if generation.problem != texts[generation.id]:
            raise InputError(f"problem {generation.id!r} is another one in each run", "Compare runs of one task")


def _runs(reference: str, store: Store) -> dict[Key, Run]:
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


def _held(place: str, store: Store) -> dict[Key, Run]:
    if place != STDIN and not Path(place).is_file():
        try:
            return _of_artifact(store.get(place))
        except InputError as error:
            hint = "Give a file of --generations or --out, or a key of the store"
            raise InputError(f"{place!r} is no file, and in the store {error.message}", hint) from None
    held: dict[Key, list[Generation]] = {}
    found: dict[Key, Run] = {}
    for record in read_records(Source.open(place, store), _record, Quarantine()):
        if isinstance(record, Generation):
            held.setdefault((record.system, record.offload_budget), []).append(record)
        elif isinstance(record, BenchResult):
            found |= _of_result(record, store)
    return {**found, **{key: Run("", generations) for key, generations in held.items()}}


def _record(value: Any) -> Record:
    """A record that may stand in such a file. Raises SchemaError."""
    kind = value.get("kind") if isinstance(value, dict) else None
    kinds: dict[str, type[Record]] = {cls.kind: cls for cls in (Generation, BenchResult, BenchComparison)}
    if kind not in kinds:
        raise SchemaError(f"expected a record of kind {' or '.join(map(repr, kinds))}, got {kind!r}")
    return kinds[kind].from_dict(value)


def _of_result(result: BenchResult, store: Store) -> dict[Key, Run]:
    if not result.artifact:
        name = label(result.system, result.offload_budget)
        raise InputError(f"the result of {name} names no generations", "Give the file of --generations instead")
    try:
        generations = list(_generations(store.get(result.artifact)))
    except InputError as error:
        what = (
            f"the generations of {label(result.system, result.offload_budget)} are not in this store: {error.message}"
        )
        raise InputError(what, "Give the file of --generations instead") from None
    return {(result.system, result.offload_budget): Run(result.task, generations)}


def _of_artifact(artifact: Artifact) -> dict[Key, Run]:
    held: dict[Key, list[Generation]] = {}
    for generation in _generations(artifact):
        held.setdefault((generation.system, generation.offload_budget), []).append(generation)
    return {key: Run(str(artifact.info.config.get("task", "")), found) for key, found in held.items()}


def _generations(artifact: Artifact) -> Iterator[Generation]:
    for line in read_lines(artifact.records):
        yield decode(line, Generation.from_dict)
