"""What options of a request a chat server takes, found out by asking.

A server without `response_format` says 400, 404, 500 or 501, and so may one that has it but does not like this input.
So a refused request is asked again without one of the options. If that is answered, no later request has the option,
once the server has named it or refused it a second time; an option that it has taken before is left out only this once.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..records.record import JsonObject
from .answers import Answer
from .endpoint import CallError, Endpoint, InputRefusedError, RefusedError, SaidError

RESPONSE_FORMAT, TEMPERATURE, MAX_COMPLETION_TOKENS = "response_format", "temperature", "max_completion_tokens"

Options = frozenset[str]

_WITHOUT_GRAMMAR = (500, 501, 502, 503)
"""What servers say that fail at a JSON schema, and routers that know of none that has it."""
_BY_INPUT = (500, 501)
"""Those that a server may say of one input that it has no grammar for."""
_SURE = 2
"""Refusals for reasons that name no option, after which the option that was left out counts as refused."""

_NAMES = {
    RESPONSE_FORMAT: ("response_format", "json", "grammar", "structured", "guided", "schema"),
    TEMPERATURE: ("temperature",),
    MAX_COMPLETION_TOKENS: ("max_completion_tokens", "max_tokens"),
}
"""What an option is called where a server complains of it."""


def named_options(words: str) -> Options:
    """The options that a server complains of."""
    words = words.lower()
    return frozenset(option for option, names in _NAMES.items() if any(name in words for name in names))


@dataclass
class Negotiation:
    """The options that one server may take, for the requests of one run.

    Args:
        options: those to begin with.
        needed: those among them that are never left out.
    """

    options: Options
    needed: Options = frozenset()
    _proven: set[str] = field(init=False, default_factory=set)
    _in_vain: set[str] = field(init=False, default_factory=set)
    _doubts: Counter[str] = field(init=False, default_factory=Counter)
    _answered: Options = field(init=False, default=frozenset())

    async def ask(
        self, client: Endpoint, body: Callable[[Options], JsonObject], without: Options = frozenset()
    ) -> Answer:
        """The answer to `body`, which makes a request with some of the options. Raises CallError, EndpointError."""
        start = current = self.options - (without - self.needed)
        first: CallError | None = None
        said = ""
        tried: set[Options] = set()
        while True:
            tried.add(current)
            try:
                answer = await client.chat(body(current))
            except InputRefusedError:
                raise
            except CallError as error:
                first, said = first or error, f"{said} {error}"
                following = next((one for one in self._without(start, current, error) if one not in tried), None)
                if following is None:
                    self._in_vain.add(str(first))
                    raise client.failed(first) from None
                current = following
            else:
                self._learn(start, current, named_options(said))
                return answer

    def _learn(self, start: Options, current: Options, named: Options) -> None:
        """Note what was answered in the end, and what had to be left out for it."""
        self._proven |= current
        self._answered = current
        left_out = start - current - self._proven
        self._doubts.update(left_out)
        self.options -= {option for option in left_out if option in named or self._doubts[option] >= _SURE}

    def _without(self, start: Options, current: Options, error: CallError) -> Iterator[Options]:
        """What to ask with instead, likeliest first: without what the server names, without any one, without all."""
        optional = start - self.needed
        unproven = optional - self._proven
        if error.status in _WITHOUT_GRAMMAR and RESPONSE_FORMAT in current & (
            optional if error.status in _BY_INPUT else unproven
        ):
            yield current - {RESPONSE_FORMAT}
        if isinstance(error, RefusedError | SaidError):
            for option in sorted(named_options(str(error)) & optional & current):
                yield current - {option}
        if not isinstance(error, RefusedError):
            return
        if self._doubts and start - unproven <= self._answered < start:
            yield self._answered
        if str(error) not in self._in_vain:
            yield from (start - {option} for option in _NAMES if option in unproven)
        yield start - unproven
