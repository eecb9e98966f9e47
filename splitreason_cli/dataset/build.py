"""build-sft: annotated traces become prompts and tagged completions, split by problem."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import orjson

from ..errors import InputError, RecordError, UsageError
from ..layouts.marked import read_annotated
from ..layouts.reading import FirstLook, Refusal
from ..models.protocols import Tokenizer
from ..models.tokenizing import count_tokens, load_tagging_tokenizer, tokenizer_digest, why_unteachable
from ..records.data import AnnotatedTrace
from ..store.artifacts import Artifact, Recipe, Store
from ..store.digests import code_of, file_digest
from ..store.jsonl import Line, decode
from ..store.source import Quarantine, Source
from .benchmarks import read_ngrams
from .ledger import DROPPED, TALLY, Ledger
from .selection import Drop, Selection, SelectionTally, problem_digest
from .sft import BuildSftConfig, build, why_malformed

__all__ = ["DROPPED", "build_sft", "tally_of"]

STAGE = "build_sft"
BLOCK_LINES, BLOCK_BYTES = 256, 4 * 2**20
"""What is read, tokenized and written at once."""
Read = Callable[[object], list[AnnotatedTrace | Refusal]]
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

    Ids that repeat get a number behind them. The arguments and errors are those of `annotate`. Further ones: UsageError
    where the tokenizer's template does not fit, ModelError where it fails, InputError for a file of benchmark problems.
    """
    code = code_of(__name__, TOKENIZING if config.tokenizer else ())
    recipe = Recipe(STAGE, asdict(config), {"in": source.digest, **_input_digests(config)}, code)
    if found := store.find(recipe):
        return found, True
    with store.work(recipe) as work:
        ledger = Ledger(work, strict=strict)
        for done in ledger.records():
            on_record(done)
        selection, read = _selection(config, ledger), _reader(source, config, store)
        for lines in _blocks(itertools.islice(source.lines(), ledger.done.lines, None)):
            traces = list(_traces(lines, read, ledger.quarantine))
            selection.look_ahead([trace for _, trace in traces])
            for line, trace in traces:
                chosen = selection.choose(trace)
                if isinstance(chosen, Drop):
                    ledger.drop(line.rejected(chosen.reason))
                else:
                    on_record(ledger.keep(chosen, problem_digest(trace.problem)))
            ledger.settle(len(lines), selection.tally)
            on_progress(ledger.done.lines)
        if not ledger.done.lines:
            raise InputError(f"{source.label}: the input is empty", "Give at least one record")
        if ledger.ids.note:
            store.on_note(f"{source.label}: {ledger.ids.note}")
        ledger.close()
        return store.publish(recipe, work, ledger.done.kept), False


def tally_of(artifact: Artifact) -> SelectionTally:
    """What became of the traces that an artifact was made from."""
    return SelectionTally.from_dict(orjson.loads((artifact.path / TALLY).read_bytes()))


def _blocks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines in lists of at most `BLOCK_LINES` and about `BLOCK_BYTES`."""
    block, size = [], 0
    for line in lines:
        block.append(line)
        size += len(line.data)
        if len(block) == BLOCK_LINES or size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _reader(source: Source, config: BuildSftConfig, store: Store) -> Read:
    """Reads a row, and says how."""
    look = FirstLook(source.label, "marked trace", store.on_note)
    return look.over(functools.partial(read_annotated, reading=config.reading))


def _traces(lines: Iterable[Line], read: Read, quarantine: Quarantine) -> Iterator[tuple[Line, AnnotatedTrace]]:
    """The well-formed traces with their lines; the other ones go to the quarantine."""
    for line in lines:
        try:
            found = decode(line, read)
        except RecordError as error:
            quarantine.add(line, error)
            continue
        for trace in found:
            if reason := trace.reason if isinstance(trace, Refusal) else why_malformed(trace):
                quarantine.add(line, RecordError(line.where, reason))
            elif isinstance(trace, AnnotatedTrace):
                yield line, trace


def _input_digests(config: BuildSftConfig) -> dict[str, str]:
    digests = {f"decontaminate:{file}": file_digest(Path(file)) for file in config.decontaminate}
    if config.tokenizer is not None:
        digests["tokenizer"] = tokenizer_digest(config.tokenizer)
    return digests


def _selection(config: BuildSftConfig, ledger: Ledger) -> Selection:
    """As it was where the ledger ends."""
    ngrams = read_ngrams(config.decontaminate, config.ngram) if config.decontaminate else None
    count = functools.partial(count_tokens, _tokenizer(config, config.tokenizer)) if config.tokenizer else None
    selection = Selection(config, ngrams, count, ledger.done.tally)
    for digest, split in ledger.problems():
        selection.remember(digest, split)
    return selection


def _tokenizer(config: BuildSftConfig, reference: str) -> Tokenizer:
    """The tokenizer, if its template fits what is built. Raises UsageError, ModelError."""
    tokenizer = load_tagging_tokenizer(reference)
    example = AnnotatedTrace(id="", problem="1+1?", answer="2", reasoning="1+1 is 2.", spans=(), annotator="")
    if reason := why_unteachable(tokenizer, build(example, config, "train")):
        hint = f"{'Leave out' if config.think else 'Add'} --think, or correct the template's generation prompt"
        raise UsageError(f"--tokenizer {reference}: {reason}", hint)
    return tokenizer
