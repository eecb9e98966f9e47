"""Which tokens of a split completion the small model chose, and between what it chose.

The small model reads one sequence: its own words, and between the tags the big model's. Outside spans it chooses each
token freely, except that it never writes a closing tag there. Inside a span it has, after every token of the big
model, one choice of two: close the span, or let the big model go on. The probability of going on is 1 - p(closing tag),
whatever token the big model writes next, so the big model's words never enter the loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """What a position of a completion holds."""

    FREE = "a token that the small model chose, opening tags and the end of text included"
    GO_ON = "a big token; the small model chose to let the big one go on"
    CLOSE = "a closing tag; the small model chose to take back"
    OTHER = "the first big token of a span, before which nobody was asked"


def roles(completion: Sequence[int], open_id: int, close_id: int) -> list[Role]:
    """The role of each token id. They follow from the ids alone."""
    found: list[Role] = []
    in_span = was_open = False
    for token in completion:
        if not in_span:
            found.append(Role.FREE)
            in_span = was_open = token == open_id
        elif token == close_id:
            found.append(Role.CLOSE)
            in_span = was_open = False
        else:
            found.append(Role.OTHER if was_open else Role.GO_ON)
            was_open = False
    return found


CERTAIN = -1e-6
"""The highest log-probability of a closing tag that is reckoned with, so that that of going on is never -inf."""


@dataclass(frozen=True)
class Decided:
    """A position's log-probability of what the policy decided there, in nats; None where it decided nothing."""

    role: Role
    logprob: float | None


def decided(
    completion: Sequence[int],
    open_id: int,
    close_id: int,
    words: Sequence[float],
    closings: Sequence[tuple[bool, float]],
) -> list[Decided]:
    """Each position's role and log-probability.

    Args:
        words: log-probabilities of the tokens that the small model chose, in order.
        closings: for each big token in order, whether the small model closed after it, and the log-probability of the
            closing tag there. A closing tag that no decision asked for was put there by a limit.

    Raises ValueError if they do not fit the completion.
    """
    free, asked = iter(words), iter(closings)
    latest: tuple[bool, float] | None = None
    found = []
    try:
        for role in roles(completion, open_id, close_id):
            logprob: float | None = None
            if role is Role.FREE:
                logprob, latest = next(free), None
            elif role is Role.CLOSE:
                logprob = latest[1] if latest and latest[0] else None
            else:
                if role is Role.GO_ON and latest:
                    logprob = log_go_on(latest[1])
                latest = next(asked, None)
            found.append(Decided(role, logprob))
    except StopIteration:
        raise ValueError("the completion has more words of the small model than were recorded") from None
    if next(free, None) is not None or next(asked, None) is not None:
        raise ValueError("more decisions were recorded than the completion has")
    return found


def log_go_on(close_logprob: float) -> float:
    """log(1 - p) for the log-probability of closing."""
    return math.log(-math.expm1(min(close_logprob, CERTAIN)))
