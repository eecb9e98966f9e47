"""build-sft: annotated traces become prompts and tagged completions, split by problem."""

import functools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson

from ..errors import RecordError, UsageError
from ..models.tokenizing import count_tokens, load_tagging_tokenizer, tokenizer_digest, why_unteachable
from ..records.data import AnnotatedTrace
from ..store.artifacts import RECORDS, REJECTED, Artifact, Recipe, Store
from ..store.digests import code_of, file_digest
from ..store.journal import Journal
from ..store.jsonl import encode, read_lines, write_atomically
from ..store.source import Quarantine, Source, located_records
from .benchmarks import read_ngrams
from .selection import Drop, Selection, SelectionTally
from .sft import BuildSftConfig, build, why_malformed

STAGE = "build_sft"
DROPPED = "dropped.jsonl"
"""Good traces that were left out, as `rejected` records in the artifact's folder."""
TALLY = "tally.json"
WRITE_EVERY = 256
TOKENIZING = ("jinja2", "tokenizers", "transformers")
"""What counts tokens."""


def build_sft(
    source: Source,
    config: BuildSftConfig,
    store: Store,
    *,
    strict: bool = False,
    on_record: Callable[[bytes], None] = lambda line: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[Artifact, bool]:
    """Build a training record of every annotated trace that is neither repeated, nor contaminated, nor too long.

    The arguments and errors are those of `annotate`. Further ones are UsageError where the tokenizer's template does
    not fit the completions, ModelError where it fails, and InputError for a file of benchmark problems.
    """
    code = code_of(__name__, TOKENIZING if config.tokenizer else ())
    recipe = Recipe(STAGE, asdict(config), {"in": source.digest, **_input_digests(config)}, code)
    if found := store.find(recipe):
        return found, True
    with store.work(recipe, resumes=False) as work:
        quarantine = Quarantine(None if strict else work / REJECTED)
        selection = _selection(config)
        kept, dropped = _Output(work / RECORDS), _Output(work / DROPPED)
        for line, trace in located_records(source, AnnotatedTrace.from_dict, quarantine):
            if reason := why_malformed(trace):
                quarantine.add(line, RecordError(line.where, reason))
                continue
            chosen = selection.choose(trace)
            if isinstance(chosen, Drop):
                dropped.add(encode(line.rejected(chosen.reason)))
            else:
                on_record(kept.add(encode(chosen)))
            on_progress(kept.count + dropped.count)
        kept.flush()
        dropped.flush()
        tally = selection.tally
        tally.quarantined = sum(1 for _ in read_lines(work / REJECTED)) if (work / REJECTED).exists() else 0
        write_atomically(work / TALLY, iter([orjson.dumps(tally.to_dict())]))
        return store.publish(recipe, work, kept.count), False


def tally_of(artifact: Artifact) -> SelectionTally:
    """What became of the traces that an artifact was made from."""
    return SelectionTally.from_dict(orjson.loads((artifact.path / TALLY).read_bytes()))


class _Output:
    """An append-only file of lines, written in blocks."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self.count = 0
        self._lines: list[bytes] = []

    def add(self, line: bytes) -> bytes:
        self.count += 1
        self._lines.append(line)
        if len(self._lines) == WRITE_EVERY:
            self.flush()
        return line

    def flush(self) -> None:
        self.journal.append(self._lines)
        self._lines = []


def _input_digests(config: BuildSftConfig) -> dict[str, str]:
    digests = {f"decontaminate:{file}": file_digest(Path(file)) for file in config.decontaminate}
    if config.tokenizer is not None:
        digests["tokenizer"] = tokenizer_digest(config.tokenizer)
    return digests


def _selection(config: BuildSftConfig) -> Selection:
    ngrams = read_ngrams(config.decontaminate, config.ngram) if config.decontaminate else None
    if config.tokenizer is None:
        return Selection(config, ngrams)
    tokenizer = load_tagging_tokenizer(config.tokenizer)
    example = AnnotatedTrace(id="", problem="1+1?", answer="2", reasoning="1+1 is 2.", spans=(), annotator="")
    if reason := why_unteachable(tokenizer, build(example, config, "train")):
        hint = f"{'Leave out' if config.think else 'Add'} --think, or correct the template's generation prompt"
        raise UsageError(f"--tokenizer {config.tokenizer}: {reason}", hint)
    return Selection(config, ngrams, functools.partial(count_tokens, tokenizer))
