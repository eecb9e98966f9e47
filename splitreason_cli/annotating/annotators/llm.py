"""A chat model as annotator: asked for the hardest passages, its snippets placed in the trace."""

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ...errors import UsageError
from ...models.endpoint import AnswerUsage, CallError, Endpoint, EndpointConfig, RefusedError, UnreadableError
from ...records.data import AnnotatedTrace, JsonObject, Trace
from ...store.replies import Replies
from .. import snippets
from ..alignment import AlignConfig, align
from ..concurrent import map_ordered
from ..config import AnnotateConfig, ResponseFormat
from .base import Annotator, BudgetSpentError, Failure, Job, Outcome, annotated, trace_key

TEMPERATURES = (0.0, 0.3, 0.6)
"""Of the attempts at one trace; a further one is made only if the last reply was of no use."""

LOST = ("not found", "too many")
"""Why snippets of a reply are not in the trace."""

_JSON_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "snippets", "strict": True, "schema": snippets.SCHEMA},
}


@dataclass
class Meter:
    """What the calls of a run cost, in tokens, against an optional budget for the whole run.

    A call starts only if the budget has room for it and those in flight, by what each is estimated to cost.
    """

    replies: Replies
    budget: int | None = None
    _in_flight: float = 0

    @property
    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens."""
        return self.replies.spent[0], self.replies.spent[1]

    @contextlib.contextmanager
    def call(self, characters: int, fraction: float) -> Iterator[None]:
        """One call about so many characters of text. Raises BudgetSpentError before it begins.

        The estimate is on the dear side: a token for every 2.5 characters, read and, of the fraction, written.
        """
        estimate = (1 + fraction) * characters / 2.5
        if self.budget is not None and sum(self.replies.spent) + self._in_flight + estimate > self.budget:
            raise BudgetSpentError("stopped by --max-tokens-total", "Raise it and run again to go on")
        self._in_flight += estimate
        try:
            yield
        finally:
            self._in_flight -= estimate


@dataclass
class LlmAnnotator(Annotator):
    """Annotates through an OpenAI-compatible chat endpoint.

    Args:
        fraction: about how much of a trace's characters to ask for, 0..1.
        replies: where paid replies are kept; a trace that has one is not asked for again.
    """

    summary = "a chat model"
    libraries = ("json-repair", "rapidfuzz", "regex")
    flags = required = ("--model", "--base-url")
    takes_arguments = False
    is_asked = True

    endpoint: EndpointConfig
    fraction: float
    align_config: AlignConfig
    replies: Replies
    response_format: ResponseFormat = "auto"
    max_tokens_total: int | None = None
    on_tokens: Callable[[int, int], None] = lambda prompt, completion: None
    _as_json: bool = field(init=False)
    _with_temperature: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        self._as_json = self.response_format != "none"
        self.meter = Meter(self.replies, self.max_tokens_total)

    @classmethod
    def check(cls, config: AnnotateConfig, given: Mapping[str, str | None]) -> None:
        if config.fraction == 0:
            raise UsageError("--fraction 0 asks a chat model for nothing", "Give a share such as 20%")

    @classmethod
    def make(cls, job: Job) -> Annotator:
        config, resources = job.config, job.resources
        replies = job.replies(f"llm-{question_key(config.model, config.fraction)}")
        return cls(
            resources.endpoints[0],
            config.fraction,
            config.alignment,
            replies,
            resources.response_format,
            resources.max_tokens_total,
            job.on_tokens,
        )

    def annotate(self, traces: Iterable[Trace]) -> Generator[Outcome, None, None]:
        client = Endpoint(self.endpoint)

        async def one(trace: Trace) -> Outcome:
            return await self._annotate(client, trace)

        return map_ordered(one, traces, self.endpoint.concurrency, client.close)

    async def _annotate(self, client: Endpoint, trace: Trace) -> Outcome:
        key = trace_key(trace)
        if kept := self.replies.get(key):
            return self._placed(trace, kept["snippets"])
        best: tuple[int, JsonObject, AnnotatedTrace] | None = None
        reason = ""
        for temperature in TEMPERATURES:
            try:
                text, cut, tokens = await self._ask(client, trace, temperature)
            except UnreadableError as error:
                reason = str(error)
                continue
            except CallError as error:
                return Failure(str(error))
            parsed = snippets.parse(text)
            placed = self._placed(trace, parsed.snippets)
            found = len(parsed.snippets) - sum(one.reason in LOST for one in placed.unplaced)
            reply = {"snippets": parsed.snippets, "temperature": temperature, "tokens": tokens}
            if found and 2 * found >= len(parsed.snippets) and parsed.complete and not cut:
                self._keep(key, reply)
                return placed
            reason = _complaint(text, len(parsed.snippets), found, cut or not parsed.complete)
            self._charge(key, reason, tokens)
            if found and (best is None or found > best[0]):
                best = found, {**reply, "tokens": (0, 0)}, placed
        if best is None:
            return Failure(f"{reason} (after {len(TEMPERATURES)} attempts)")
        self._keep(key, best[1])
        return best[2]

    async def _ask(self, client: Endpoint, trace: Trace, temperature: float) -> tuple[str, bool, tuple[int, int]]:
        """One reply: its text, whether it was cut at a length limit, its prompt and completion tokens."""
        while True:
            as_json = self._as_json
            with_temperature = self._with_temperature
            messages = snippets.request(trace.problem, trace.reasoning, self.fraction, as_json=as_json)
            body: JsonObject = {
                "messages": messages,
                **({"temperature": temperature} if with_temperature else {}),
                **({"response_format": _JSON_SCHEMA} if as_json else {}),
            }
            characters = sum(len(message["content"]) for message in messages)
            try:
                with self.meter.call(characters, self.fraction):
                    answer = await client.chat(body)
                break
            except RefusedError as error:
                if with_temperature and "temperature" in str(error):
                    self._with_temperature = False
                elif as_json and self.response_format == "auto":
                    # The endpoint may know no response_format; if something else is wrong, it will refuse again.
                    self._as_json = False
                else:
                    raise client.failed(error) from None
        choice, usage = answer.choices[0], answer.usage or AnswerUsage()
        text = choice.message.content if choice.message else None
        return text or "", choice.finish_reason == "length", (usage.prompt_tokens or 0, usage.completion_tokens or 0)

    def _placed(self, trace: Trace, texts: Iterable[str]) -> AnnotatedTrace:
        spans, unplaced = align(trace.reasoning, list(texts), self.align_config)
        return annotated(trace, f"llm:{self.endpoint.model}", spans, unplaced)

    def _keep(self, key: str, reply: JsonObject) -> None:
        self.replies.put(key, reply)
        self.on_tokens(*self.meter.tokens)

    def _charge(self, key: str, reason: str, tokens: tuple[int, int]) -> None:
        self.replies.charge(key, reason, tokens)
        self.on_tokens(*self.meter.tokens)


def question_key(model: str, fraction: float) -> str:
    """What a reply depends on besides its trace: the model and the wording of the question."""
    wording = [snippets.request("", "", fraction, as_json=as_json) for as_json in (True, False)]
    return hashlib.sha256(repr((model, wording, TEMPERATURES)).encode()).hexdigest()[:16]


def _complaint(reply: str, given: int, found: int, is_cut: bool) -> str:
    if is_cut:
        return "the reply breaks off"
    if not given:
        return f"the reply holds no snippets: {' '.join(reply.split())[:80]!r}"
    return f"{given - found} of {given} snippets in the reply are not in the trace"
