"""What an annotator is. A new one is a class in a file beside this one and a line in `annotators.named`."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...errors import SrxError
from ...layouts.marked import is_marked
from ...layouts.reading import Reading, Refusal, RowRead
from ...layouts.traces import read_traces
from ...plugins import call, parse_call
from ...records.data import AnnotatedTrace, HardSpan, SchemaError, Trace, Unplaced
from ...records.data import annotated as annotated  # annotators of other packages find it here
from ...store.artifacts import Begun, Recipe, Store
from ...store.jsonl import Line
from ...store.replies import Replies
from ..concurrent import StopMappingError
from ..config import AnnotateConfig, Resources


@dataclass(frozen=True)
class Failure:
    """Why a trace could not be annotated; a rerun tries it again unless that would fail in the same way."""

    reason: str
    permanent: bool = False


Outcome = AnnotatedTrace | Failure


class BudgetSpentError(SrxError, StopMappingError):
    """The token budget does not allow another call: what is done is delivered, and a rerun goes on."""


@dataclass(frozen=True)
class Job:
    """What an annotator is made from.

    Args:
        recipe: of what the run makes; its inputs hold the digests that `Annotator.inputs` names.
        begun: the codes that unfinished work of it was made with before.
        on_tokens: is told how many prompt and completion tokens have been paid for until now.
    """

    config: AnnotateConfig
    resources: Resources
    store: Store
    recipe: Recipe
    begun: Begun
    on_tokens: Callable[[int, int], None]

    def replies(self, name: str, others: Iterable[str] = ()) -> Replies:
        """What is kept of replies under this name, by all runs that give it; those under `others` are as good."""
        places = [self.store.folder("replies", other) for other in others]
        folder = self.store.folder("replies", name)
        return Replies(folder, self.recipe.work_key, places, is_afresh=self.store.is_afresh)


@dataclass(frozen=True, kw_only=True)
class MarkedTrace(Trace):
    """A trace whose spans came with it; `annotator` made them."""

    spans: tuple[HardSpan, ...]
    annotator: str
    unplaced: tuple[Unplaced, ...] = ()


class Annotator(ABC):
    """Something that marks the hard spans of traces.

    Attributes:
        summary: who marks, in a few words, for `--help`.
        libraries: names of the distributions that compute its result.
        flags: of the command line that are for it alone. required: those among them that it cannot do without.
        instead: flags of which any makes the last required one unnecessary.
        takes_arguments: whether any may stand in parentheses; `make` judges them.
        nothing: what is true of a trace that it marks nothing in. is_asked: whether it is to mark about the fraction.
        remedy: what to do about traces that failed.
    """

    summary: ClassVar[str] = ""
    libraries: ClassVar[tuple[str, ...]] = ()
    flags: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    instead: ClassVar[tuple[str, ...]] = ()
    takes_arguments: ClassVar[bool] = True
    nothing: ClassVar[str] = "nothing marked"
    is_asked: ClassVar[bool] = False
    remedy = "A rerun tries them again"

    @classmethod
    def check(cls, config: AnnotateConfig, given: Mapping[str, str | None]) -> None:
        """Raises UsageError for what does not fit together. `given` holds the values of all annotators' flags."""
        return

    @classmethod
    def inputs(cls, config: AnnotateConfig) -> dict[str, str]:
        """Digests by name of what its result depends on beside the traces, such as models. Raises SrxError."""
        return {}

    @classmethod
    def make(cls, job: Job) -> "Annotator":
        """The annotator of one run; by default called with the arguments in parentheses. Raises SrxError."""
        return call(cls, job.config.annotator, parse_call(job.config.annotator)[1])

    def lines(self, lines: Iterator[Line]) -> Iterator[Line]:
        """The rows of an input, where they are not its lines."""
        return lines

    def read(self, row: object, reading: Reading) -> RowRead[list[Trace | Refusal]]:
        """The traces of a row, by default those that nobody has marked. Raises SchemaError."""
        if is_marked(row, reading):
            raise SchemaError(
                "annotated already: --annotator given takes its spans, --columns generations=generations the plain text"
            )
        return read_traces(row, reading)

    @abstractmethod
    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        """One outcome for each trace, in their order.

        Raises:
            SrxError: no further trace can be annotated. What was paid for until then is kept.
        """


def trace_key(trace: Trace) -> str:
    """What a reply about a trace is kept under: a digest of its id and text."""
    text = f"{trace.id}\0{trace.problem}\0{trace.reasoning}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
