"""The simplest annotator: snippets that were made elsewhere."""

from collections.abc import Generator, Iterable
from pathlib import Path

import orjson

from ...records.data import Snippets, Trace, annotated
from ...store.digests import file_digest
from ...store.disk_map import DiskMap
from ...store.jsonl import decode, read_lines
from ..alignment import AlignConfig, align
from ..config import AnnotateConfig
from .base import Annotator, Failure, Job, Outcome


class SnippetsAnnotator(Annotator):
    """Places the snippets of a JSONL file of kind `snippets`, of which memory holds a few at a time.

    Raises InputError or RecordError if the file cannot be read.
    """

    summary = "a file of snippets"
    libraries = ("rapidfuzz", "regex")
    flags = required = ("--snippets",)
    takes_arguments = False
    nothing = "without snippets"
    is_asked = True

    def __init__(self, path: Path, config: AlignConfig) -> None:
        self._path = path
        self._config = config
        self._snippets = DiskMap()
        for line in read_lines(path):
            record = decode(line, Snippets.from_dict)
            self._snippets[_key(record.id)] = orjson.dumps(record.snippets)

    @classmethod
    def inputs(cls, config: AnnotateConfig) -> dict[str, str]:
        return {"snippets": file_digest(Path(config.snippets))}

    @classmethod
    def make(cls, job: Job) -> Annotator:
        return cls(Path(job.config.snippets), job.config.alignment)

    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        for trace in traces:
            kept = self._snippets.get(_key(trace.id))
            if kept is None:
                yield Failure(f"{self._path} holds no snippets for the id {trace.id!r}", permanent=True)
                continue
            spans, unplaced = align(trace.reasoning, orjson.loads(kept), self._config)
            yield annotated(trace, "snippets", spans, unplaced)


def _key(trace_id: str) -> bytes:
    return trace_id.encode("utf-8", "surrogatepass")
