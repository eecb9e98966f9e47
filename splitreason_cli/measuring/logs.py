"""Generations made elsewhere, read from the logs of other programs. They come ungraded."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..errors import RecordError
from ..records import markup
from ..records.data import Generation, Problem, SchemaError, Segment
from ..records.measurement import UNKNOWN
from ..store.artifacts import Store
from ..store.source import Quarantine, Source, located_records, raise_first_rejected
from ..tasks.matching import ProblemIndex
from ..tasks.problems import answer_of
from .log_rows import Completion, LoggedSamples, layout_of, samples_of

SYSTEM = "imported"


@dataclass(frozen=True)
class SampleLog:
    """The generations of a log. `source` is what errors call it, `digest` identifies its content.

    `failed` counts completions that the log does not hold. `repeated` says that all samples of every problem are the
    same text: they were greedy, or every request had the same seed.
    """

    source: str
    digest: str
    generations: tuple[Generation, ...]
    failed: int
    repeated: bool


def read_sample_log(
    name: str,
    store: Store,
    problems: Sequence[Problem] | None = None,
    system: str | None = None,
    quarantine: Quarantine | None = None,
) -> SampleLog:
    """Read a JSONL or parquet file, or `-`, in any layout of `measuring.log_rows`.

    Args:
        problems: those of the task. Ids, texts and gold answers are then theirs, found by id or by the problem's text
            in the prompt. Without them the log must hold all three; a missing id is made of the problem's text.
        system: what to call the system, instead of what srx's own records say, or `imported`.
        quarantine: where rows go that are none of a log, of a problem that the task has not, or a sample's second.

    Raises:
        InputError: there is no such file, or nothing in it.
        RecordError: the first bad row, if the quarantine has no file or no row is good.
    """
    source, index = Source.open(name, store), ProblemIndex(problems) if problems is not None else None
    quarantine = quarantine or Quarantine()
    generations = tuple(_generations(source, index, system, quarantine))
    if not generations and quarantine.path:
        raise_first_rejected(quarantine.path)
    failed = sum(generation.finish_reason == "error" and not generation.segments for generation in generations)
    return SampleLog(source.label, source.digest, generations, failed, _repeated(generations))


def _generations(
    source: Source, index: ProblemIndex | None, system: str | None, quarantine: Quarantine
) -> Iterator[Generation]:
    samples: Counter[tuple[str, str]] = Counter()
    filters: dict[str, str | None] = {}
    places: dict[tuple[str, float | None, str, int], str] = {}
    for line, value in located_records(source, _read, quarantine):
        try:
            if isinstance(value, Generation):
                found = [_adopted(value, index, system)]
            elif value.key is not None and filters.setdefault(value.key, value.filter) != value.filter:
                continue
            else:
                found = _built(value, index, system or SYSTEM, samples)
        except SchemaError as error:
            hint = "Correct the log, or give that of another run"
            quarantine.add(line, RecordError(line.where, str(error), hint))
            continue
        for generation in found:
            key = (generation.system, generation.offload_budget, generation.id, generation.sample)
            if key in places:
                what = f"sample {generation.sample} of problem {generation.id!r} by {generation.system!r}"
                hint = "Give the generations of one run only"
                quarantine.add(line, RecordError(line.where, f"{what} is at {places[key]} too", hint))
                continue
            places[key] = line.where
            yield generation


def _read(row: object) -> Generation | LoggedSamples:
    return Generation.from_dict(row) if layout_of(row) == Generation.kind else samples_of(row)


def _adopted(generation: Generation, index: ProblemIndex | None, system: str | None) -> Generation:
    """One of our own records, as if it had never been graded."""
    problem = _of_task(index, generation.id, generation.problem)
    generation = replace(generation, correct=None, system=system or generation.system)
    if problem is None:
        return generation
    return replace(generation, id=problem.id, problem=problem.problem, answer=problem.answer)


def _built(
    logged: LoggedSamples, index: ProblemIndex | None, system: str, samples: Counter[tuple[str, str]]
) -> list[Generation]:
    problem = _of_task(index, logged.id, logged.question) or _stated(logged)
    generations = []
    for completion in logged.completions:
        sample = samples[system, problem.id]
        samples[system, problem.id] += 1
        generations.append(_generation(problem, completion, logged.layout, system, sample))
    return generations


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
    name = logged.id or hashlib.sha256(logged.question.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    # Without a gold answer there is no verdict, and that is counted; the other rows are no worse for it.
    answer = "" if value == "" else answer_of({field: value}, field)
    return Problem(id=name, problem=logged.question, answer=answer)


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
        extra={**problem.extra, "log": layout, UNKNOWN: [name for name, is_known in known.items() if not is_known]},
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
