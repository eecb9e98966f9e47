"""What a policy is: when the small model hands over, and when it takes back.

A policy is asked once per position, in order, so its answers do not depend on how a driver groups tokens. One object
serves one request; what is random carries that request's own random state.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ..signals import CloseSignal, Prediction, Signal

STEP_TAIL_TOKENS = 8
"""How many tokens the blank line between two steps of a reasoning takes at most."""

_STEP_END = re.compile(r"\n[ \t]*\n\s*\Z")

TextOf = Callable[[Sequence[int]], str]
"""The text of some token ids."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the small model may hand over. What its policy does not need raises MissingSignalError, told or not.

    Attributes:
        completion: all of the completion so far, in the small model's ids.
    """

    completion: Sequence[int]
    _needs: frozenset[Signal] = frozenset()
    _prediction: Prediction | None = None
    _decode: TextOf | None = None

    def text(self, tail_tokens: int | None = None) -> str:
        """The text so far, or of its last so many tokens."""
        if Signal.TEXT not in self._needs:
            raise MissingSignalError(Signal.TEXT)
        return self._tail(len(self.completion) if tail_tokens is None else tail_tokens)

    @property
    def entropy(self) -> float:
        """Of the next token, in nats."""
        return self._predicted(Signal.ENTROPY).entropy

    @property
    def top_logprobs(self) -> tuple[tuple[int, float], ...]:
        """(token id, natural-log probability) of the likeliest next tokens, likeliest first."""
        return self._predicted(Signal.TOP_LOGPROBS).top_logprobs

    @property
    def begins_step(self) -> bool:
        """Whether a step of the reasoning begins here: at the start, and behind a blank line."""
        if Signal.STEPS not in self._needs:
            raise MissingSignalError(Signal.STEPS)
        return not self.completion or _STEP_END.search(self._tail(STEP_TAIL_TOKENS)) is not None

    def _tail(self, tokens: int) -> str:
        assert self._decode is not None, "the controller refuses policies whose text nothing reads"
        return self._decode(self.completion[max(0, len(self.completion) - tokens) :])

    def _predicted(self, signal: Signal) -> Prediction:
        # Drivers tell a whole batch what one of its policies needs: more than this one may depend on.
        if signal not in self._needs or self._prediction is None:
            raise MissingSignalError(signal)
        return self._prediction


@dataclass(frozen=True, slots=True)
class Span:
    """What the big model has written since it has the floor.

    Attributes:
        ids: its token ids. signal: what the small model says of closing here, where it was asked.
    """

    ids: Sequence[int]
    signal: CloseSignal | None = None
    decode: TextOf | None = None

    def text(self) -> str:
        """The span's text. Raises MissingSignalError unless the policy needs it."""
        if self.decode is None:
            raise MissingSignalError(Signal.TEXT)
        return self.decode(self.ids)


class MissingSignalError(RuntimeError):
    """A policy used what it does not say that it needs: a bug in the policy."""

    def __init__(self, signal: Signal) -> None:
        super().__init__(f"the policy uses {signal.value} and does not name it in `needs`")


class Policy:
    """Subclass it; what it leaves out is never done. Drivers supply what it `needs`, or refuse it.

    Attributes:
        name: what results call it.
        tagged: run by the tags that the small model writes; the others never let it write one.
        needs: a policy that needs predictions is asked before each of the small model's tokens and replaces it, any
            other after each token. With `Signal.CLOSE` the small model is asked where it would close.
        may_open: False for those that never hand over, so that nobody keeps a big model ready.
    """

    name: ClassVar[str]
    tagged: ClassVar[bool] = False
    needs: ClassVar[frozenset[Signal]] = frozenset()
    may_open: ClassVar[bool] = True

    def opens(self, place: Place) -> bool:
        """Whether to hand over here. Untagged policies only."""
        return False

    def closes(self, span: Span) -> bool:
        """Whether to take back after these big tokens."""
        return False


class BrokenPolicyError(ValueError):
    """A factory failed in a way that is no answer to its arguments, or what it made is no policy: a bug in it."""


@dataclass(frozen=True)
class PolicyContext:
    """What is known of the request that a policy serves: the seed of its random decisions."""

    seed: int | None = None


class Factory(Protocol):
    """Makes the policy of one request from the arguments written behind its name. Raises ValueError."""

    def __call__(self, context: PolicyContext, arguments: tuple[str, ...], /) -> Policy: ...


def check_supplied(policy: Policy, supplied: frozenset[Signal]) -> None:
    """Raises ValueError if a policy needs what nothing supplies here."""
    if missing := sorted(signal.value for signal in policy.needs - supplied):
        raise ValueError(f"it needs {' and '.join(missing)}, which nothing here supplies")
