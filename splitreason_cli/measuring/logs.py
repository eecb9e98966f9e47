"""Generations made elsewhere, read from the logs of other programs. They come ungraded."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

from ..errors import RecordError, UsageError
from ..layouts.answers import answer_text
from ..records import markup
from ..records.data import Generation, Problem, SchemaError, Segment, label
from ..records.measurement import UNKNOWN
from ..store.artifacts import Store
from ..store.source import Quarantine, Source, located_records, raise_first_rejected
from ..tasks.matching import ProblemIndex
from .log_named import renamed
from .log_rows import LABEL, Completion, LoggedSamples, layout_of, samples_of

SYSTEM = "imported"


@dataclass(frozen=True)
class SampleLog:
    """The generations of a log. `source` is what errors call it, `digest` identifies its content.

    `failed` counts completions that the log does not hold. `repeated` says that all samples of every problem are the
    same text: they were greedy, or every request had the same seed. `columns` says which columns of the first row
    were taken for what; it is empty where the layout says that. `golds` has, for each problem of the task, its gold
    answer and the one that the log has for it.
    """

    source: str
    digest: str
    generations: tuple[Generation, ...]
    failed: int
    repeated: bool
    columns: Mapping[str, str] = field(default_factory=dict)
    golds: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def read_sample_log(
    name: str,
    store: Store,
    problems: Sequence[Problem] | None = None,
    system: str | None = None,
    quarantine: Quarantine | None = None,
    columns: tuple[tuple[str, str], ...] = (),
) -> SampleLog:
    """Read a JSONL or parquet file, or `-`, in any layout of `measuring.log_rows`.

    Args:
        problems: those of the task. Ids, texts and gold answers are then theirs, found by id or by the problem's text
            in the prompt. Without them the log must hold all three; a missing id is made of the problem's text.
        system: what to call the system, instead of what the log says, or `imported`.
        quarantine: where rows go that are none of a log, of a problem that the task has not, or a sample's second.

        columns: which columns of the log hold what, see `layouts.reading`.

    Raises:
        InputError: there is no such file, or nothing in it.
        RecordError: the first bad row, if the quarantine has no file or no row is good.
        UsageError: `system` would make one of several systems.
    """
    source, index = Source.open(name, store), ProblemIndex(problems) if problems is not None else None
    quarantine = quarantine or Quarantine()
    reader = _Reader(index, system, columns)
    generations = _with_failed(tuple(reader.read(source, quarantine)))
    if not generations and quarantine.path:
        raise_first_rejected(quarantine.path)
    return SampleLog(
        source.label,
        source.digest,
        generations,
        sum(map(_is_failed, generations)),
        _repeated(generations),
        reader.columns,
        reader.golds,
    )


def _read(row: object, columns: tuple[tuple[str, str], ...]) -> Generation | LoggedSamples:
    row = renamed(row, columns)
    return Generation.from_dict(row) if layout_of(row) == Generation.kind else samples_of(row)


class _Reader:
    """The generations of a log, each sample once, and what was found on the way.

    Args:
        system: the name of all, if the log's own are not to count.
        named: the columns that the user names.
    """

    def __init__(self, index: ProblemIndex | None, system: str | None, named: tuple[tuple[str, str], ...]) -> None:
        self.index, self.system, self._named = index, system, named
        self.columns: Mapping[str, str] = {}
        self.golds: dict[str, tuple[str, str]] = {}
        self._samples: Counter[tuple[str, str]] = Counter()
        self._filters: dict[str, str | None] = {}
        self._places: dict[tuple[str, float | None, str, int], str] = {}
        self._texts: dict[str, str] = {}
        self._names: set[str] = set()

    def read(self, source: Source, quarantine: Quarantine) -> Iterator[Generation]:
        for line, value in located_records(source, partial(_read, columns=self._named), quarantine):
            try:
                found = self._found(value)
            except SchemaError as error:
                hint = "Correct the log, or give that of another run"
                quarantine.add(line, RecordError(line.where, str(error), hint))
                continue
            for generation in found:
                key = (generation.system, generation.offload_budget, generation.id, generation.sample)
                if key in self._places:
                    what = f"sample {generation.sample} of problem {generation.id!r} by {generation.system!r}"
                    hint = "Give the generations of one run only"
                    fault = RecordError(line.where, f"{what} is at {self._places[key]} too", hint)
                    quarantine.add(line, fault)
                    continue
                self._places[key] = line.where
                yield generation

    def _found(self, value: Generation | LoggedSamples) -> list[Generation]:
        if isinstance(value, Generation):
            return [self._adopted(value)]
        if value.key is not None and self._filters.setdefault(value.key, value.filter) != value.filter:
            return []
        self.columns = self.columns or {**value.columns, **dict(self._named)}
        return self._built(value)

    def _adopted(self, generation: Generation) -> Generation:
        """One of our own records, as if it had never been graded."""
        problem = _of_task(self.index, generation.id, generation.problem)
        name = self._called(label(generation.system, generation.offload_budget)) if self.system else generation.system
        generation = replace(generation, correct=None, system=name)
        if problem is None:
            return generation
        return replace(generation, id=problem.id, problem=problem.problem, answer=problem.answer)

    def _built(self, logged: LoggedSamples) -> list[Generation]:
        problem = _of_task(self.index, logged.id, logged.question) or _stated(logged)
        if self._texts.setdefault(problem.id, problem.problem) != problem.problem:
            raise SchemaError(f"id {problem.id!r} names another problem than before")
        if self.index and logged.gold:
            self.golds.setdefault(problem.id, (problem.answer, _short(logged.gold[1])))
        is_failed = all(completion.text is None for completion in logged.completions)
        system = SYSTEM if is_failed and logged.system is None else self._called(logged.system)
        generations = []
        for completion in logged.completions:
            sample = self._samples[system, problem.id]
            self._samples[system, problem.id] += 1
            generations.append(_generation(problem, completion, logged.layout, system, sample))
        return generations

    def _called(self, theirs: str | None) -> str:
        """What to call the system that the log calls `theirs`."""
        if self.system is None:
            return theirs or SYSTEM
        self._names.add(theirs or "")
        if len(self._names) > 1:
            names = ", ".join(name or "one without a name" for name in sorted(self._names))
            raise UsageError(f"the log has several systems ({names}), which one name would mix", "Leave --system out")
        return self.system


def _of_task(index: ProblemIndex | None, name: str | None, question: str | None) -> Problem | None:
    if index is None:
        return None
    problem = index.find(name, question)
    if problem is None:
        named = f"of id {name!r}, nor one " if name else ""
        raise SchemaError(f"the task has no problem {named}that the prompt contains")
    return problem


def _stated(logged: LoggedSamples) -> Problem:
    """The problem as the log has it."""
    if logged.question is None:
        raise SchemaError("field 'problem' is missing; without it give the task as well")
    if logged.gold is None:
        raise SchemaError("field 'answer' is missing; without it give the task as well")
    field, value = logged.gold
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    name = logged.id or hashlib.sha256(logged.question.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    # Without a gold answer there is no verdict, and that is counted; the other rows are no worse for it.
    answer = "" if _is_missing(value) else answer_text(value, field)
    return Problem(id=name, problem=logged.question, answer=answer)


def _is_failed(generation: Generation) -> bool:
    return generation.finish_reason == "error" and not generation.segments


def _with_failed(generations: tuple[Generation, ...]) -> tuple[Generation, ...]:
    """Failed requests, whose replies name no model, under the name of the only system that the log has."""
    names = {generation.system for generation in generations if not _is_failed(generation)}
    nameless = [one for one in generations if _is_failed(one) and one.system == SYSTEM]
    if not nameless or len(names) != 1 or names == {SYSTEM}:
        return generations
    (name,) = names
    samples = Counter(generation.id for generation in generations if generation.system == name)
    renamed = []
    for generation in generations:
        if generation.system != name:
            generation = replace(generation, system=name, sample=samples[generation.id])
            samples[generation.id] += 1
        renamed.append(generation)
    return tuple(renamed)


def _short(gold: object) -> str:
    """A gold answer that can be compared with another; empty for one with the solution around it."""
    text = str(gold).strip() if isinstance(gold, str | int | float) and not isinstance(gold, bool) else ""
    return text if len(text) <= 100 and "\n" not in text else ""


def _is_missing(gold: object) -> bool:
    """Whether a gold answer is none, as a table writes it that has no value there."""
    if isinstance(gold, str):
        return not gold.strip()
    return gold is None or gold == [] or (isinstance(gold, float) and math.isnan(gold))


def _generation(problem: Problem, completion: Completion, layout: str, system: str, sample: int) -> Generation:
    segments = _segments(completion.text or "")
    says_who = len(segments) > 1 or completion.big_tokens is not None
    known = {
        "authors": says_who,
        "tokens": completion.tokens is not None,
        "big_tokens": completion.big_tokens is not None,
        "finish_reason": completion.finish_reason is not None or completion.text is None,
        "seconds": False,
    }
    return Generation(
        id=problem.id,
        system=system,
        sample=sample,
        problem=problem.problem,
        answer=problem.answer,
        segments=segments,
        finish_reason="error" if completion.text is None else completion.finish_reason or "unknown",
        correct=None,
        tokens=completion.tokens or 0,
        big_tokens=completion.big_tokens or 0,
        spans=sum(segment.author == "big" for segment in segments),
        refused=0,
        cut=0,
        unclosed=0,
        seconds=0.0,
        extra={**problem.extra, "log": layout, UNKNOWN: [name for name, is_known in known.items() if not is_known]}
        | ({} if completion.label is None else {LABEL: completion.label}),
    )


def _segments(text: str) -> tuple[Segment, ...]:
    """The text by author where it holds well-formed hand-over tags (`show_tags`), else all as the small model's."""
    try:
        plain, spans = markup.parse(text)
    except markup.MarkupError:
        plain, spans = text, []
    cuts = [0, *(place for span in spans for place in span), len(plain)]
    return tuple(
        Segment(author="big" if number % 2 else "small", token_ids=(), text=plain[start:end])
        for number, (start, end) in enumerate(pairwise(cuts))
        if start < end
    )


def _repeated(generations: Sequence[Generation]) -> bool:
    texts: dict[tuple[str, float | None, str], list[tuple[Segment, ...]]] = {}
    for generation in generations:
        texts.setdefault((generation.system, generation.offload_budget, generation.id), []).append(generation.segments)
    several = [same for same in texts.values() if len(same) > 1]
    return bool(several) and all(len(set(same)) == 1 for same in several)
