"""The rows of a batch: one completion each, decoded together and ended together."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ..models.pair import Pair
from ..records.data import Author
from ..split.budget import OffloadBudget
from ..split.controller import SplitController
from ..split.events import Action, Cancelled, Decode, Finish, Probe
from ..split.limits import Limits
from ..split.policies import Policy


@dataclass(frozen=True)
class Request:
    """One completion to decode. `seed` makes its sampling independent of the rest of the batch.

    `limits` replace those of the decoder.
    """

    problem: str
    policy: Policy
    seed: int | str = 0
    limits: Limits | None = None


@dataclass
class Row:
    """One completion of a batch, and what its controller asks for.

    Attributes:
        floor, probe: the controller's last demands; neither once the completion has ended.
        words: what the small model wrote, its control tokens among it, each with its natural-log probability at the
            sampling temperature, None where that is not known. Kept by decoders that explore.
        failed: why the big model writes no more in it; empty if it does.
        settled: of what each model has read, how many tokens stay.
    """

    controller: SplitController
    rng: random.Random
    floor: Decode | None = None
    probe: Probe | None = None
    words: list[tuple[int, float | None]] = field(default_factory=list)
    failed: str = ""
    settled: dict[Author, int] = field(default_factory=dict)

    def unread(self, author: Author) -> tuple[list[int], int]:
        """What a model reads next: its context behind the tokens that stay of what it read last, and their number."""
        after = self.settled.get(author, 0)
        self.settled[author] = self.controller.settled_tokens(author)
        if self.probe and author == "small":
            return self.controller.small_context_at(self.probe.upto, after), after
        return self.controller.context[author][after:], after

    def take(self, actions: Sequence[Action]) -> None:
        """Remember what the controller asks for."""
        for action in actions:
            if isinstance(action, Decode):
                self.floor, self.probe = action, None
            elif isinstance(action, Probe):
                self.probe = action
            elif isinstance(action, Finish):
                self.floor = self.probe = None

    def fail(self) -> None:
        """End the completion where the big model failed."""
        self.take(self.controller.receive(Cancelled()))

    @property
    def is_with_small(self) -> bool:
        """Whether the small model is to write, or to answer a probe."""
        return self.probe is not None or (self.floor is not None and self.floor.author == "small")

    @property
    def is_with_big(self) -> bool:
        """Whether the big model is to write."""
        return self.probe is None and self.floor is not None and self.floor.author == "big"


@contextmanager
def started(
    pair: Pair, requests: Sequence[Request], limits: Limits, budget: OffloadBudget | None
) -> Iterator[list[Row]]:
    """The rows of these requests, whose controllers end with this however it ends.

    Args:
        limits: of requests that have none of their own. budget: shared by all; None grants every hand-over.
    """
    budget, rows = budget or OffloadBudget(), list[Row]()
    with ExitStack() as stack:
        for request in requests:
            prompts = pair.prompts(request.problem)
            controller = pair.controller(prompts, request.policy, request.limits or limits, budget)
            rows.append(Row(stack.enter_context(controller), random.Random(request.seed)))
            rows[-1].take(controller.start())
        yield rows


def running(rows: Sequence[Row]) -> list[int]:
    """The numbers of the rows that have not ended."""
    return [number for number, row in enumerate(rows) if row.floor]


def forbidden(rows: Sequence[Row]) -> list[frozenset[int]]:
    """What each row's model must not write."""
    return [row.floor.forbid if row.floor else frozenset() for row in rows]
