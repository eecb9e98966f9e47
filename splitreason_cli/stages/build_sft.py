"""build-sft: annotated traces become prompts and tagged completions, split by problem."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..adapters.jsonl import encode
from ..adapters.source import Quarantine, Source, read_records
from ..adapters.store import RECORDS, REJECTED, Artifact, Journal, Recipe, Store
from ..core import markup
from ..core.prompts import completion, user_message
from ..core.records import AnnotatedTrace, Message, SftExample

STAGE = "build_sft"
WRITE_EVERY = 256


@dataclass(frozen=True)
class BuildSftConfig:
    """`test_fraction` of the problems (not of the traces) go to the test split; `hint` adds the tag sentence."""

    hint: bool = True
    test_fraction: float = 0.05


def build_sft(
    source: Source,
    config: BuildSftConfig,
    store: Store,
    *,
    strict: bool = False,
    on_record: Callable[[bytes], None] = lambda line: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[Artifact, bool]:
    """Build an example of every annotated trace; the arguments and errors are those of `annotate`."""
    recipe = Recipe(STAGE, asdict(config), {"in": source.digest})
    if found := store.find(recipe):
        return found, True
    with store.work(recipe) as work:
        quarantine = Quarantine(None if strict else work / REJECTED)
        journal = Journal(work / RECORDS)
        journal.restart(0)
        done, lines = 0, []
        for trace in read_records(source, AnnotatedTrace.from_dict, quarantine, why_malformed):
            lines.append(encode(example(trace, config)))
            done += 1
            on_record(lines[-1])
            on_progress(done)
            if len(lines) == WRITE_EVERY:
                journal.append(lines)
                lines = []
        journal.append(lines)
        return store.publish(recipe, work, done), False


def example(trace: AnnotatedTrace, config: BuildSftConfig) -> SftExample:
    """The training example of one trace. Raises MarkupError if its spans do not fit its text."""
    tagged = markup.render(trace.reasoning, [(span.start, span.end) for span in trace.spans])
    return SftExample(
        id=trace.id,
        split="test" if _fraction(trace.problem) < config.test_fraction else "train",
        prompt=(Message(role="user", content=user_message(trace.problem, hint=config.hint)),),
        completion=completion(tagged, trace.answer),
        extra=trace.extra,
    )


def why_malformed(trace: AnnotatedTrace) -> str | None:
    """What keeps a trace from becoming an example, or None."""
    try:
        markup.render(trace.reasoning, [(span.start, span.end) for span in trace.spans])
    except markup.MarkupError as error:
        return f"{error}. Annotate the trace again"
    return None


def _fraction(problem: str) -> float:
    """A number in [0, 1) that depends on the problem's text alone, so that copies of it share a split."""
    return int.from_bytes(hashlib.sha256(problem.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
