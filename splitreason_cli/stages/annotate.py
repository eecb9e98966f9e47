"""annotate: mark the lines of a trace that are hard for the small model and not for the big one.

A token's surprisal gap is NLL_small - NLL_big in nats. A line is hard if any of its tokens has a gap above the
threshold. If the hard lines hold more than `fraction` of a trace's characters, those with the smallest gaps go.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..adapters.jsonl import encode
from ..adapters.models import LoadedModel, default_device, load_pair, model_digest
from ..adapters.source import Quarantine, Source, read_records
from ..adapters.store import RECORDS, REJECTED, Artifact, Journal, Recipe, Store
from ..core import markup
from ..core.records import AnnotatedTrace, HardSpan, Trace

GROUP = 32
"""Traces scored together. A group is recomputed as a whole on resume, so that its padding and rounding are the same."""

STAGE = "annotate"


@dataclass(frozen=True)
class AnnotateConfig:
    """`threshold` in nats per token, `fraction` the largest share of a trace's characters to mark, 0..1."""

    small: str = "mini-small"
    big: str = "mini-big"
    threshold: float = 0.7
    fraction: float = 0.2


def annotate(
    source: Source,
    config: AnnotateConfig,
    store: Store,
    *,
    strict: bool = False,
    on_record: Callable[[bytes], None] = lambda line: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[Artifact, bool]:
    """Annotate every trace of `source`; returns the artifact and whether it was there already.

    Args:
        on_record: called with each encoded record in input order, unless the artifact was there already.
        on_progress: called with the number of traces done so far.

    Raises:
        ModelError: the models do not load or do not share a vocabulary.
        InputError, RecordError: see `read_records`.
    """
    models = {"small": model_digest(config.small), "big": model_digest(config.big)}
    recipe = Recipe(STAGE, asdict(config), {"in": source.digest, **models})
    if found := store.find(recipe):
        return found, True
    with store.work(recipe) as work:
        quarantine = Quarantine(None if strict else work / REJECTED)
        scorer = Scorer(config)
        traces = read_records(source, Trace.from_dict, quarantine, scorer.why_unusable)
        done = 0
        for line in _resumed(Journal(work / RECORDS), traces, scorer.annotate):
            done += 1
            on_record(line)
            on_progress(done)
        return store.publish(recipe, work, done), False


def _resumed(
    journal: Journal, traces: Iterator[Trace], score: Callable[[Sequence[Trace]], list[AnnotatedTrace]]
) -> Iterator[bytes]:
    """Annotate group by group, taking from the journal what an earlier run finished."""
    earlier = journal.replay()
    kept = 0
    for group in iter(lambda: list(itertools.islice(traces, GROUP)), []):
        finished = list(itertools.islice(earlier, len(group)))
        lines = [encode(AnnotatedTrace.from_dict(value)) for value in finished]
        if len(finished) < len(group):
            journal.restart(kept)
            lines = [encode(record) for record in score(group)]
            journal.append(lines)
        kept += len(group)
        yield from lines


class Scorer:
    """Both models, and what they say of a trace."""

    def __init__(self, config: AnnotateConfig) -> None:
        self.config = config
        self.small, self.big = load_pair(config.small, config.big, default_device())
        self.max_tokens = min(pair.model.config.max_position_embeddings for pair in (self.small, self.big))

    def why_unusable(self, trace: Trace) -> str | None:
        """What keeps a trace from being annotated, or None."""
        tag = markup.contains_tag(trace.reasoning)
        if tag:
            return f"field 'reasoning' already contains the tag {tag}. Give the plain trace"
        if markup.THINK_CLOSE in trace.reasoning:
            return f"field 'reasoning' contains {markup.THINK_CLOSE}. Give only what stands before it"
        if not trace.reasoning.strip():
            return "field 'reasoning' is empty. Give the trace's text"
        tokens = len(self.small.prompt_ids(trace.problem, hint=False)) + len(self._encode(trace)["input_ids"])
        if tokens > self.max_tokens:
            return f"the trace has {tokens:,} tokens, the models read {self.max_tokens:,}. Shorten it"
        return None

    def annotate(self, traces: Sequence[Trace]) -> list[AnnotatedTrace]:
        """Mark the hard lines of a group of traces."""
        encodings = [self._encode(trace) for trace in traces]
        ids = [encoding["input_ids"] for encoding in encodings]
        nlls = [_token_nlls(model, [t.problem for t in traces], ids) for model in (self.small, self.big)]
        annotated = []
        for trace, encoding, nll_small, nll_big in zip(traces, encodings, *nlls, strict=True):
            gaps = [a - b for a, b in zip(nll_small, nll_big, strict=True)]
            spans = mark_lines(trace.reasoning, encoding["offset_mapping"], gaps, self.config)
            annotated.append(
                AnnotatedTrace(
                    id=trace.id, problem=trace.problem, answer=trace.answer, reasoning=trace.reasoning,
                    spans=tuple(spans), annotator="surprisal", extra=trace.extra,
                )
            )  # fmt: skip
        return annotated

    def _encode(self, trace: Trace) -> Any:
        return self.small.tokenizer(trace.reasoning, add_special_tokens=False, return_offsets_mapping=True)


def mark_lines(
    text: str, offsets: Sequence[markup.Span], gaps: Sequence[float], config: AnnotateConfig
) -> list[HardSpan]:
    """The hard lines of a text whose tokens cover `offsets` (characters) and have these surprisal gaps (nats)."""
    hits = [(start, end, gap) for (start, end), gap in zip(offsets, gaps, strict=True) if gap > config.threshold]
    lines = [
        HardSpan(start=start, end=end, score=max(gap for left, right, gap in hits if left < end and right > start))
        for start, end in markup.line_spans(text, [(left, right) for left, right, _ in hits])
    ]
    room = config.fraction * len(text)
    kept = []
    for line in sorted(lines, key=lambda span: -span.score):
        if line.end - line.start <= room:
            kept.append(line)
            room -= line.end - line.start
    return sorted(kept, key=lambda span: span.start)


def _token_nlls(loaded: LoadedModel, problems: Sequence[str], texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """The negative log-likelihood in nats of each text's tokens after its problem's chat prompt."""
    import torch

    prompts = [loaded.prompt_ids(problem, hint=False) for problem in problems]
    rows = [[*prompt, *text] for prompt, text in zip(prompts, texts, strict=True)]
    width = max(map(len, rows))
    device = loaded.model.device
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    mask = torch.arange(width, device=device) < lengths[:, None]
    with torch.inference_mode():
        logits = loaded.model(input_ids=ids, attention_mask=mask.long()).logits
        nll = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2).float(), ids[:, 1:], reduction="none")
    return [
        nll[row, len(prompt) - 1 : len(prompt) - 1 + len(text)].tolist()
        for row, (prompt, text) in enumerate(zip(prompts, texts, strict=True))
    ]
