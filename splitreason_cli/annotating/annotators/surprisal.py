"""The pair itself as annotator: lines that surprise the small model and not the big one.

A token's surprisal gap is NLL_small - NLL_big in nats. A line is hard if any of its tokens has a gap above the
threshold. If the hard lines hold more than `fraction` of a trace's characters, their hard sentences are marked in their
place; of these, those with the smallest gaps go. Where not one fits, the words of the hard tokens are marked.
"""

import asyncio
import hashlib
import itertools
import re
from bisect import bisect_right
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ...errors import UsageError
from ...models.endpoint import CallError, Endpoint, EndpointConfig
from ...models.loading import LoadedModel, default_device, load_pair, load_tokenizer_only, model_digest
from ...models.protocols import Encoding
from ...records import markup
from ...records.data import AnnotatedTrace, Code, HardSpan, Trace, annotated
from ...records.sentences import sentences
from ...store.artifacts import Recipe
from ...store.replies import Replies
from ..alignment import over_fraction
from ..cap import keep_hardest
from ..concurrent import map_ordered
from ..config import AnnotateConfig
from .base import Annotator, Failure, Job, Outcome, trace_key

GROUP = 32
"""Traces scored together in this process."""

NAME = "surprisal"


@dataclass(frozen=True)
class SurprisalConfig:
    """`threshold` in nats per token, `fraction` the largest share of a trace's characters to mark, 0..1."""

    small: str
    big: str
    threshold: float
    fraction: float


Scored = list[tuple[int, int, float]]
"""Spans as start, end and score."""


class HardUnits(msgspec.Struct):
    """What is kept of a trace: its hard lines, and what is hard in these."""

    lines: Scored
    sentences: Scored = []
    words: Scored = []


class _PromptLogprob(msgspec.Struct):
    logprob: float


class LocalSurprisal(Annotator):
    """Scores with both models in this process, in groups, unless they are behind servers. Raises ModelError."""

    summary = "the pair's own surprisal"
    libraries = ("jinja2", "tokenizers", "torch", "transformers")
    flags = ("--small-url", "--big-url")
    takes_arguments = False
    nothing = "without a token above --threshold"

    def __init__(self, config: SurprisalConfig, replies: Replies) -> None:
        self._config, self._replies = config, replies
        self._models = load_pair(config.small, config.big, default_device())
        self._max_tokens = min(loaded.model.config.max_position_embeddings for loaded in self._models)

    @classmethod
    def check(cls, config: AnnotateConfig, given: Mapping[str, str | None]) -> None:
        if (given["--small-url"] is None) != (given["--big-url"] is None):
            raise UsageError("--small-url and --big-url go together. Give both, or neither to score in this process")

    @classmethod
    def inputs(cls, config: AnnotateConfig) -> dict[str, str]:
        return {"small": model_digest(config.small), "big": model_digest(config.big)}

    @classmethod
    def make(cls, job: Job) -> Annotator:
        config, recipe = job.config, job.recipe
        # Scores are those of one code. Of other codes they count where the work was begun with them.
        earlier = [_scores(recipe, code) for code in job.begun.codes if code != recipe.code]
        replies = job.replies(_scores(recipe, recipe.code), earlier)
        scoring = SurprisalConfig(config.small, config.big, config.threshold, config.fraction)
        if job.resources.endpoints:
            small, big = job.resources.endpoints
            return ServedSurprisal(scoring, (small, big), replies)
        return cls(scoring, replies)

    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        stream = iter(traces)
        for group in iter(lambda: list(itertools.islice(stream, GROUP)), []):
            self._score([trace for trace in group if _kept(self._replies, trace) is None])
            for trace in group:
                kept = _kept(self._replies, trace)
                yield (
                    annotated_with(trace, kept, self._config)
                    if kept
                    else Failure(self._too_long(trace), permanent=True)
                )

    def _score(self, traces: Sequence[Trace]) -> None:
        """Score the traces that fit the models, and keep their hard lines."""
        encoded = [(trace, _encode(self._models[0], trace)) for trace in traces]
        lengths = [len(self._prompt(trace)) + len(encoding["input_ids"]) for trace, encoding in encoded]
        fitting = [pair for pair, length in zip(encoded, lengths, strict=True) if length <= self._max_tokens]
        if not fitting:
            return
        problems = [trace.problem for trace, _ in fitting]
        ids = [encoding["input_ids"] for _, encoding in fitting]
        nlls = [_token_nlls(model, problems, ids) for model in self._models]
        for (trace, encoding), small, big in zip(fitting, *nlls, strict=True):
            _keep(self._replies, trace, encoding, small, big, self._config)

    def _prompt(self, trace: Trace) -> list[int]:
        return self._models[0].prompt_ids(trace.problem, hint=False)

    def _too_long(self, trace: Trace) -> str:
        tokens = len(self._prompt(trace)) + len(_encode(self._models[0], trace)["input_ids"])
        met = f"the trace has {tokens:,} tokens, the models read {self._max_tokens:,}"
        return f"{met}. Give --small and --big that read more"


class ServedSurprisal(Annotator):
    """Scores through two vLLM servers, whose `prompt_logprobs` are the negative NLLs.

    The tokenizer of `config.small` must be at hand here. Raises ModelError.
    """

    def __init__(
        self, config: SurprisalConfig, endpoints: tuple[EndpointConfig, EndpointConfig], replies: Replies
    ) -> None:
        self._config, self._replies, self._endpoints = config, replies, endpoints
        self._small = load_tokenizer_only(config.small)

    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        clients = [Endpoint(config) for config in self._endpoints]

        async def one(trace: Trace) -> Outcome:
            if kept := _kept(self._replies, trace):
                return annotated_with(trace, kept, self._config)
            encoding = _encode(self._small, trace)
            prompt = self._small.prompt_ids(trace.problem, hint=False)
            try:
                small, big = await asyncio.gather(
                    *(_served_nlls(client, prompt, encoding["input_ids"]) for client in clients)
                )
            except CallError as error:
                return Failure(str(error))
            return annotated_with(trace, _keep(self._replies, trace, encoding, small, big, self._config), self._config)

        async def close() -> None:
            await asyncio.gather(*(client.close() for client in clients))

        yield from map_ordered(one, traces, self._endpoints[0].concurrency, close)
        for client in clients:
            client.check_at_end()


def hard_lines(text: str, offsets: Sequence[markup.Span], gaps: Sequence[float], threshold: float) -> list[HardSpan]:
    """The lines of a text whose tokens cover `offsets` (characters) and have these surprisal gaps (nats)."""
    return hard_units(markup.line_spans(text, [(0, len(text))]), offsets, gaps, threshold)


def hard_units(
    units: Sequence[markup.Span], offsets: Sequence[markup.Span], gaps: Sequence[float], threshold: float
) -> list[HardSpan]:
    """Those of the sorted and disjoint `units` that a token above the threshold shares a character with."""
    worst: dict[markup.Span, float] = {}
    ends = [end for _, end in units]
    for (start, end), gap in zip(offsets, gaps, strict=True):
        if gap <= threshold or start == end:
            continue
        at = bisect_right(ends, start)
        while at < len(units) and units[at][0] < end:
            worst[units[at]] = max(gap, worst.get(units[at], gap))
            at += 1
    return [HardSpan(start=start, end=end, score=worst[start, end]) for start, end in sorted(worst)]


def _scores(recipe: Recipe, code: Code) -> str:
    """The name of the lines' scores that a code computes for the models and threshold of a recipe."""
    question = repr((code.digest, recipe.inputs["small"], recipe.inputs["big"], recipe.config["threshold"]))
    return f"surprisal-{hashlib.sha256(question.encode()).hexdigest()[:16]}"


def _encode(loaded: LoadedModel, trace: Trace) -> Encoding:
    return loaded.tokenizer(trace.reasoning, add_special_tokens=False, return_offsets_mapping=True)


def _keep(
    replies: Replies, trace: Trace, encoding: Encoding, small: list[float], big: list[float], config: SurprisalConfig
) -> HardUnits:
    # Rounding hides what the padding of a group, or a server's batch, does to the last bits.
    gaps = [round(a - b, 3) for a, b in zip(small, big, strict=True)]
    text, offsets = trace.reasoning, encoding["offset_mapping"]
    words = [match.span() for match in re.finditer(r"\S+", text)]
    kept = HardUnits(
        *(
            [(span.start, span.end, span.score) for span in hard_units(units, offsets, gaps, config.threshold)]
            for units in (markup.line_spans(text, [(0, len(text))]), sentences(text), words)
        )
    )
    replies.put(trace_key(trace), msgspec.to_builtins(kept))
    return kept


def _kept(replies: Replies, trace: Trace) -> HardUnits | None:
    reply = replies.get(trace_key(trace))
    return msgspec.convert(reply, HardUnits) if reply else None


def annotated_with(trace: Trace, kept: HardUnits, config: SurprisalConfig) -> AnnotatedTrace:
    """The trace with its hard lines or, where these are too long for the fraction, what is hard in them."""
    lines, parts, words = map(_spans, (kept.lines, kept.sentences, kept.words))
    limit = config.fraction * len(trace.reasoning)
    spans = keep_hardest(lines, limit)
    if len(spans) == len(lines):
        return annotated(trace, NAME, spans)
    units = parts or lines
    spans = keep_hardest(units, limit, merge_gap=1) or keep_hardest(words, limit, merge_gap=1)
    left = [span for span in units if not any(one.start < span.end and span.start < one.end for one in spans)]
    return annotated(trace, NAME, spans, [over_fraction(trace.reasoning, span) for span in left])


def _spans(scored: Scored) -> list[HardSpan]:
    return [HardSpan(start=start, end=end, score=score) for start, end, score in scored]


async def _served_nlls(client: Endpoint, prompt: list[int], text: list[int]) -> list[float]:
    """The negative log-likelihood in nats of each token of `text` after `prompt`. Raises CallError."""
    ids = [*prompt, *text]
    answer = await client.complete({"prompt": ids, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0})
    entries = _logprobs(answer.choices[0].get("prompt_logprobs"))
    if len(entries) != len(ids):
        raise CallError("the server returned no prompt_logprobs. It must be vLLM")
    found = [(entry or {}).get(str(token)) for token, entry in zip(text, entries[len(prompt) :], strict=True)]
    nlls = [-one.logprob for one in found if one]
    if len(nlls) < len(text):
        raise CallError("the server returned no log-probability of some tokens of the prompt. It must be vLLM")
    return nlls


def _logprobs(value: object) -> list[dict[str, _PromptLogprob] | None]:
    """The entries of `prompt_logprobs`, which are null at the first token and else keyed by token ids."""
    try:
        return msgspec.convert(value, list[dict[str, _PromptLogprob] | None])
    except msgspec.ValidationError:
        return []


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
