"""srx build-sft"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..dataset.sft import BuildSftConfig, Format
from ..errors import PartialError, RecordError, UsageError
from ..layouts.reading import Reading
from ..store.artifacts import Artifact
from ..store.source import STDIN, Source
from . import console, values
from .faults import sort_of, told
from .option_groups import expanded
from .options import Fresh, Hint, In, Out, Strict, run_record_stage
from .reading_options import ReadingFlags

SHOWN_FAULTS = 20


def register(app: typer.Typer) -> None:
    app.command("build-sft", epilog="Example: srx build-sft --in annotated.jsonl > sft.jsonl")(expanded(build_sft))


@dataclass(frozen=True)
class Layout:
    """How a trace is written."""

    format_: Annotated[Format, typer.Option("--format", help="Layout: kind sft_example, or kind sft_conversation.")] = (
        Format.PROMPT_COMPLETION
    )
    hint: Hint = True
    instruction: Annotated[str, typer.Option(help="Sentence to add to the prompt, before the hint.")] = ""
    think: Annotated[
        bool, typer.Option("--think/--no-think", help="Open the thinking in the completion; messages always do.")
    ] = False


@dataclass(frozen=True)
class SelectionFlags:
    """Which traces are kept, and in which split."""

    test_fraction: Annotated[str, typer.Option(help="Share of the problems held out as split test.")] = "5%"
    dedup: Annotated[bool, typer.Option("--dedup/--no-dedup", help="Keep only the first trace of a problem.")] = True
    decontaminate: Annotated[
        list[str] | None, typer.Option(help="JSONL of benchmark problems to keep out; may be repeated.")
    ] = None
    ngram: Annotated[int, typer.Option(min=1, help="Words shared with a benchmark problem that are too many.")] = 8
    tokenizer: Annotated[
        str | None,
        typer.Option(help="Count tokens with it, and see that its template fits: a folder, a name or mini-small."),
    ] = None
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Drop longer examples; needs --tokenizer.")] = None


def build_sft(
    *,
    in_: In = "-",
    out: Out = "-",
    layout: Layout,
    selection: SelectionFlags,
    reading: ReadingFlags,
    dataset: Annotated[str | None, typer.Option(help="Also write a Hugging Face dataset folder.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look for faults in records; write none.")] = False,
    traces: Annotated[str | None, typer.Option(help="With --check: traces to compare the records with.")] = None,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Turn annotated traces into prompts and tagged completions, split by problem.

    Reads records of kind annotated_trace, or tagged rows of other people's data; writes sft_example or
    sft_conversation. Malformed traces are quarantined; repeated, contaminated and overlong ones are dropped and listed.
    With --check, reads any of the three kinds.
    """
    if check:
        if out != STDIN or dataset is not None or fresh:
            raise UsageError("--check writes no records", "Leave out --out, --dataset and --fresh")
        _check(in_, traces, reading.reading(), selection.tokenizer, strict=strict)
        return
    if traces is not None:
        raise UsageError("--traces is only compared with under --check", "Add --check, or leave --traces out")
    _build(in_, out, _config(layout, selection, reading), dataset, strict=strict, fresh=fresh)


def _config(layout: Layout, selection: SelectionFlags, reading: ReadingFlags) -> BuildSftConfig:
    return BuildSftConfig(
        format=layout.format_,
        hint=layout.hint,
        think=layout.think,
        instruction=layout.instruction,
        test_fraction=values.share("--test-fraction", selection.test_fraction),
        tokenizer=selection.tokenizer,
        max_tokens=selection.max_tokens,
        dedup=selection.dedup,
        decontaminate=tuple(selection.decontaminate or ()),
        ngram=selection.ngram,
        reading=reading.reading(),
    )


def _build(in_: str, out: str, config: BuildSftConfig, dataset: str | None, *, strict: bool, fresh: bool) -> None:
    console.quiet_libraries(parallel_tokenizers=True)
    from ..dataset import build as stage
    from ..dataset.hub import refuse_foreign

    if dataset is not None:
        refuse_foreign(Path(dataset))
    run_record_stage(
        "build-sft",
        in_,
        out,
        lambda source, store, on_record, on_progress: stage.build_sft(
            source, config, store, strict=strict, on_record=on_record, on_progress=on_progress
        ),
        strict=strict,
        fresh=fresh,
        deliver=lambda artifact: _deliver(artifact, config, dataset),
    )


def _deliver(artifact: Artifact, config: BuildSftConfig, dataset: str | None) -> None:
    """Write the data set, if one is wanted, and say what was dropped and where it is listed."""
    from ..dataset.build import DROPPED, tally_of
    from ..dataset.hub import write_dataset
    from ..dataset.sft import KIND_OF

    tally = tally_of(artifact)
    if dataset is not None:
        write_dataset(Path(dataset), artifact, tally, KIND_OF[config.format])
        console.note(f"data set: {dataset}, {tally.splits['train']:,} rows to train, {tally.splits['test']:,} to test")
    if tally.dropped:
        console.note(f"dropped: {tally.describe_dropped(config.max_tokens)}; see {artifact.path / DROPPED}")


def _check(in_: str, traces: str | None, reading: Reading, tokenizer: str | None, *, strict: bool) -> None:
    """Print the first faults and one line of summary. Raises PartialError if there are any faults."""
    console.quiet_libraries()
    from ..dataset.check import check_sft

    if traces == STDIN:
        raise UsageError("--traces cannot be standard input", "Name a file")
    sorts: Counter[str] = Counter()

    def on_fault(fault: RecordError) -> None:
        if strict:
            raise fault
        sorts[sort_of(fault.reason)] += 1
        if sorts.total() <= SHOWN_FAULTS:
            console.note(str(fault))

    tell = console.ticker("check")
    originals = Source.stream(traces) if traces else None
    checked = check_sft(Source.stream(in_), originals, reading, tokenizer, on_fault=on_fault, on_progress=tell)
    if checked.rejected > SHOWN_FAULTS:
        console.note(f"and {checked.rejected - SHOWN_FAULTS:,} more")
    if checked.rejected:
        console.note(f"rejected: {told(sorts)}")
        raise PartialError(str(checked), "Correct them and check again")
    console.note(str(checked))
