"""A chat model as annotator: asked for the hardest passages, its snippets placed in the trace."""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from ...errors import UsageError
from ...models.answers import ReadAnswer
from ...models.endpoint import CallError, Endpoint, InputRefusedError, UnreadableError
from ...models.negotiation import (
    MAX_COMPLETION_TOKENS,
    RESPONSE_FORMAT,
    TEMPERATURE,
    Negotiation,
    Options,
    named_options,
)
from ...models.refusals import is_of_input, is_refusal
from ...records.data import AnnotatedTrace, JsonObject, Trace, annotated
from ...store.replies import Replies
from .. import snippets
from ..alignment import align
from ..batches import ASK, BatchReplies, BatchReply, custom_id
from ..concurrent import map_ordered
from ..config import AnnotateConfig
from .base import Annotator, BudgetSpentError, Failure, Job, Outcome, trace_key
from .reading import ReadReply, judge

TEMPERATURES = (0.0, 0.3, 0.6)
"""Of the attempts at one trace; a further one is made only if the last reply was of no use."""

SHORTEST_SNIPPET = 40
"""Characters. A trace of whose fraction less is left may have no passage that can be marked."""

_JSON_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "snippets", "strict": True, "schema": snippets.SCHEMA},
}


@dataclass
class Meter:
    """What the calls of a run cost, in tokens, against an optional budget for the whole run.

    A call starts only if the budget has room for it and those in flight, by what each is estimated to cost.

    Attributes:
        unsaid: estimated tokens of answers that did not say what they cost.
    """

    replies: Replies
    budget: int | None = None
    unsaid: float = 0
    _in_flight: float = 0

    @property
    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens."""
        return self.replies.spent[0], self.replies.spent[1]

    @contextlib.contextmanager
    def call(self, characters: int, fraction: float) -> Iterator[float]:
        """One call about so many characters of text, and its estimate. Raises BudgetSpentError before it begins.

        The estimate is on the dear side: a token for every 2.5 characters, read and, of the fraction, written.
        """
        estimate = (1 + fraction) * characters / 2.5
        before = sum(self.replies.spent) + self.unsaid + self._in_flight
        if self.budget is not None and before + estimate > self.budget:
            raise BudgetSpentError("stopped by --max-tokens-total", "Raise it and run again to go on")
        self._in_flight += estimate
        try:
            yield estimate
        finally:
            self._in_flight -= estimate


@dataclass(frozen=True)
class _Said:
    """An answer, the temperature it was asked for at, and for one of a batch, which may be read again, its name."""

    answer: ReadAnswer
    temperature: float
    source: str = ""


class LlmAnnotator(Annotator):
    """Annotates through an OpenAI-compatible chat endpoint, or by what its batch API has answered, or both.

    A trace that has a paid reply is not asked for again, nor is one that was refused for good.
    """

    summary = "a chat model"
    libraries = ("json-repair", "rapidfuzz", "regex")
    flags = ("--model", "--base-url", "--batch-in", "--batch-out")
    required = ("--model", "--base-url")
    instead = ("--batch-in", "--batch-out")
    takes_arguments = False
    is_asked = True

    def __init__(self, job: Job) -> None:
        self._config, self._resources = job.config, job.resources
        self._on_tokens, self._on_note = job.on_tokens, job.store.on_note
        self._question = question_key(job.config.model, job.config.fraction)
        self._replies = job.replies(f"llm-{self._question}")
        self._meter = Meter(self._replies, job.resources.max_tokens_total)
        self._batch = BatchReplies(job.resources.batch_in, self._question)
        if not job.resources.endpoints:
            self.remedy = ASK
        form = job.resources.response_format
        wanted = {
            TEMPERATURE: True,
            MAX_COMPLETION_TOKENS: job.resources.max_completion_tokens is not None,
            RESPONSE_FORMAT: form != "none",
        }
        needed = frozenset({RESPONSE_FORMAT} if form == "json_schema" else ())
        options = frozenset(option for option, is_wanted in wanted.items() if is_wanted)
        self._options = Negotiation(options - (self._replies.unsupported - needed), needed)

    @classmethod
    def check(cls, config: AnnotateConfig, given: Mapping[str, str | None]) -> None:
        if config.fraction == 0:
            raise UsageError("--fraction 0 asks a chat model for nothing", "Give a share such as 20%")
        if given["--batch-in"] and given["--batch-out"]:
            raise UsageError("--batch-in and --batch-out are two runs", "Read the replies, then write what is left")

    @classmethod
    def make(cls, job: Job) -> Annotator:
        return cls(job)

    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        self._batch.load()
        if not self._resources.endpoints:
            yield from map_ordered(partial(self._annotate, None), traces, 1)
        else:
            # An endpoint of which replies are kept may refuse all that is left without being at fault.
            client = Endpoint(self._resources.endpoints[0], has_answered=len(self._replies) > 0)
            yield from map_ordered(partial(self._annotate, client), traces, client.config.concurrency, client.close)
            client.check_at_end()
        for note in self._batch.notes():
            self._on_note(note)

    def question(self, trace: Trace) -> tuple[str, JsonObject] | None:
        """What to ask a batch API about a trace: a name and a body; None if it was answered, or refused for good."""
        key = trace_key(trace)
        if self._kept(key, trace):
            return None
        attempt = self._replies.useless(key)
        temperature = TEMPERATURES[min(attempt, len(TEMPERATURES) - 1)]
        body = {"model": self._config.model, **self._body(trace, temperature, self._options.options)}
        return custom_id(self._question, key, attempt), body

    async def _annotate(self, client: Endpoint | None, trace: Trace) -> Outcome:
        key = trace_key(trace)
        if kept := self._kept(key, trace):
            return kept
        async with self._replies.claimed(key):
            # Another process may have asked meanwhile.
            return self._kept(key, trace) or await self._ask(client, key, trace)

    def _kept(self, key: str, trace: Trace) -> Outcome | None:
        """What is known of a trace from before."""
        self._batch.seen(key)
        if kept := self._replies.get(key):
            placed = self._placed(trace, kept["snippets"])
            return placed if placed.spans or placed.unplaced else None
        reason = self._replies.refusal(key)
        return None if reason is None else _for_good(reason)

    async def _ask(self, client: Endpoint | None, key: str, trace: Trace) -> Outcome:
        best: ReadReply | None = None
        best_reply: JsonObject = {}
        reason, attempts, is_read = self._batch.missing, 0, False
        for ask in self._attempts(client, key, trace):
            attempts += 1
            try:
                said = await ask()
            except InputRefusedError as error:
                return self._refuse(key, str(error))
            except UnreadableError as error:
                reason = str(error)
                continue
            except CallError as error:
                return Failure(str(error))
            # Thousands of snippets take long to place, and nothing else would happen meanwhile.
            reading = await asyncio.to_thread(judge, said.answer, partial(self._placed, trace))
            tokens = (0, 0) if self._replies.has_charged(said.source) else said.answer.tokens
            reply = {"snippets": reading.snippets, "temperature": said.temperature, "tokens": tokens}
            if not reading.complaint:
                return self._keep(key, reply, reading)
            reason, is_read = reading.complaint, not reading.is_hopeless
            self._charge(key, reason, tokens, said.source)
            if reading.is_filtered:
                return self._refuse(key, reason)
            if reading.found > (best.found if best else 0):
                best, best_reply = reading, {**reply, "tokens": (0, 0)}
            if reading.is_hopeless:
                break
        if not attempts:
            self._batch.miss(trace.id)
        if best:
            return self._keep(key, best_reply, best)
        if is_read and self._config.fraction * len(trace.reasoning) < SHORTEST_SNIPPET:
            return self._refuse(key, f"{reason}: the trace is too short, it has {len(trace.reasoning)} characters")
        return Failure(f"{reason} (after {attempts} attempts)" if attempts > 1 else reason)

    def _attempts(self, client: Endpoint | None, key: str, trace: Trace) -> Iterator[Callable[[], Awaitable[_Said]]]:
        """What to try, one after the other: what a batch has answered, then the endpoint."""
        for reply in self._batch.of(key):
            yield partial(self._from_batch, reply)
        if not client:
            return
        for temperature in TEMPERATURES:
            yield partial(self._call, client, trace, temperature)

    async def _from_batch(self, reply: BatchReply) -> _Said:
        if reply.answer:
            return _Said(reply.answer, TEMPERATURES[0], reply.source)
        if is_of_input(reply.error):
            raise InputRefusedError(reply.error, reply.status)
        if is_refusal(reply.status or 0):
            self._replies.note_unsupported(named_options(reply.error))
        raise UnreadableError(reply.error, reply.status)

    async def _call(self, client: Endpoint, trace: Trace, temperature: float) -> _Said:
        body = partial(self._body, trace, temperature)
        messages = snippets.request(trace.problem, trace.reasoning, self._config.fraction, as_json=True)
        characters = sum(len(message["content"]) for message in messages)
        with self._meter.call(characters, self._config.fraction) as estimate:
            # Some servers that force JSON make nothing of some traces.
            is_last = temperature == TEMPERATURES[-1]
            answer = await self._options.ask(client, body, frozenset({RESPONSE_FORMAT} if is_last else ()))
        if not any(answer.tokens):
            self._meter.unsaid += estimate
        return _Said(answer.read(), temperature)

    def _body(self, trace: Trace, temperature: float, options: Options) -> JsonObject:
        as_json = RESPONSE_FORMAT in options
        limit = self._resources.max_completion_tokens
        name = MAX_COMPLETION_TOKENS if MAX_COMPLETION_TOKENS in options else "max_tokens"
        return {
            "messages": snippets.request(trace.problem, trace.reasoning, self._config.fraction, as_json=as_json),
            **({"temperature": temperature} if TEMPERATURE in options else {}),
            **({"response_format": _JSON_SCHEMA} if as_json else {}),
            **({name: limit} if limit else {}),
        }

    def _placed(self, trace: Trace, texts: Iterable[str]) -> AnnotatedTrace:
        spans, unplaced = align(trace.reasoning, list(texts), self._config.alignment)
        return annotated(trace, f"llm:{self._config.model}", spans, unplaced)

    def _keep(self, key: str, reply: JsonObject, reading: ReadReply) -> AnnotatedTrace:
        self._replies.put(key, reply)
        self._on_tokens(*self._meter.tokens)
        return reading.placed

    def _charge(self, key: str, reason: str, tokens: tuple[int, int], source: str) -> None:
        if source and self._replies.has_charged(source):
            return
        self._replies.charge(key, reason, tokens, source)
        self._on_tokens(*self._meter.tokens)

    def _refuse(self, key: str, reason: str) -> Failure:
        self._replies.refuse(key, reason)
        return _for_good(reason)


def question_key(model: str, fraction: float) -> str:
    """What a reply depends on besides its trace: the model and the wording of the question."""
    wording = [snippets.request("", "", fraction, as_json=as_json) for as_json in (True, False)]
    return hashlib.sha256(repr((model, wording, TEMPERATURES)).encode()).hexdigest()[:16]


def _for_good(reason: str) -> Failure:
    return Failure(f"{reason.rstrip('.')}. It is not asked again, unless with --fresh", permanent=True)
