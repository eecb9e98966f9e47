"""The in-process driver: two Hugging Face models in lockstep over a batch, each token forwarded once by each.

Every conversation owns one row of a key-value cache, and rows advance unevenly: while one row's small model decodes,
another row's big model does. `KeyValueRows` therefore writes each row at its own length instead of padding the batch,
so that a hand-over costs the big model only the tokens it has not read yet.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ..models.cached import CachedModel
from ..models.pair import Pair
from ..models.sampling import GREEDY, Sampling, forbid, predictions_of, sample
from ..records.data import Author
from ..split.budget import OffloadBudget
from ..split.controller import SplitController
from ..split.events import Action, Decode, Finish, Probe, Probed, Produced
from ..split.limits import Limits
from ..split.policies import Policy
from ..split.signals import PREDICTIONS, CloseSignal, Prediction, Signal

if TYPE_CHECKING:
    from torch import Tensor


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
class _Row:
    controller: SplitController
    rng: random.Random
    floor: Decode | None = None
    probe: Probe | None = None
    settled: dict[Author, int] = field(default_factory=dict)

    def read(self, author: Author) -> tuple[list[int], int]:
        """What a model reads next: its context behind the tokens that stay of what it read last, and their number."""
        after = self.settled.get(author, 0)
        self.settled[author] = self.controller.settled_tokens(author)
        if self.probe and author == "small":
            return self.controller.small_context_at(self.probe.upto, after), after
        return self.controller.context[author][after:], after

    def take(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Decode):
                self.floor, self.probe = action, None
            elif isinstance(action, Probe):
                self.probe = action
            elif isinstance(action, Finish):
                self.floor = self.probe = None


class SplitDecoder:
    """Decodes batches with the two models of a pair."""

    def __init__(self, pair: Pair, limits: Limits, sampling: Sampling = GREEDY) -> None:
        self.pair, self.limits, self.sampling = pair, limits, sampling
        self.forwarded_tokens: dict[Author, int] = {"small": 0, "big": 0}

    def decode(
        self,
        requests: Sequence[Request],
        budget: OffloadBudget | None = None,
        on_tick: Callable[[int], None] | None = None,
    ) -> list[SplitController]:
        """Decode all requests together and return their finished controllers, in order.

        Args:
            budget: shared by the requests; None grants every hand-over.
            on_tick: called after each decoded position with the number of requests still running.
        """
        small = CachedModel(self.pair.small, len(requests))
        with self._started(requests, budget) as rows, self._big_side(rows) as decode_big:
            while any(row.floor for row in rows):
                self._read_small(small, rows)
                decode_big()
                if on_tick:
                    on_tick(sum(row.floor is not None for row in rows))
        self.forwarded_tokens["small"] += small.forwarded_tokens
        return [row.controller for row in rows]

    @contextmanager
    def _big_side(self, rows: list[_Row]) -> Iterator[Callable[[], None]]:
        """What lets the big model go on by a position wherever it has the floor."""
        big = CachedModel(self.pair.big, len(rows))
        yield partial(self._decode_big, big, rows)
        self.forwarded_tokens["big"] += big.forwarded_tokens

    @contextmanager
    def _started(self, requests: Sequence[Request], budget: OffloadBudget | None) -> Iterator[list[_Row]]:
        """Their rows, whose controllers end with this however it ends."""
        budget, rows = budget or OffloadBudget(), list[_Row]()
        with ExitStack() as stack:
            for request in requests:
                controller = stack.enter_context(self._controller(request, budget))
                rows.append(_Row(controller, random.Random(request.seed)))
                rows[-1].take(controller.start())
            yield rows

    def _controller(self, request: Request, budget: OffloadBudget) -> SplitController:
        prompts = self.pair.prompts(request.problem)
        return self.pair.controller(prompts, request.policy, request.limits or self.limits, budget)

    def _read_small(self, model: CachedModel, rows: list[_Row]) -> None:
        """One position of the small model: it decodes where it has the floor, and answers probes where it has not."""
        busy = [i for i, row in enumerate(rows) if row.probe or (row.floor and row.floor.author == "small")]
        if not busy:
            return
        model.keep(_unfinished(rows))
        logits = model.next_logits(busy, *_reads(rows, busy, "small"))
        deciding = [n for n, i in enumerate(busy) if not rows[i].probe]
        tokens = self._choose(logits[deciding], [rows[busy[n]] for n in deciding])
        told = self._predictions(logits, {n: rows[busy[n]].controller.policy.needs for n in deciding})
        for n, token in zip(deciding, tokens, strict=True):
            row = rows[busy[n]]
            row.take(row.controller.receive(Produced("small", (token,), told.get(n, ()))))
        probing = [n for n, i in enumerate(busy) if rows[i].probe]
        for n, signal in zip(probing, self._close_signals(logits[probing]), strict=True):
            self._answer(rows[busy[n]], *signal)

    def _predictions(self, logits: "Tensor", needs: dict[int, frozenset[Signal]]) -> dict[int, tuple[Prediction, ...]]:
        """For the rows of `logits` whose policies read predictions, by number."""
        asked = [n for n, signals in needs.items() if signals & PREDICTIONS]
        if not asked:
            return {}
        found = predictions_of(logits[asked], frozenset[Signal]().union(*(needs[n] for n in asked)))
        return {n: (prediction,) for n, prediction in zip(asked, found, strict=True)}

    def _answer(self, row: _Row, logprob: float, is_argmax: bool) -> None:
        if row.probe is None:
            return
        upto, row.probe = row.probe.upto, None
        row.take(row.controller.receive(Probed(upto, (CloseSignal(upto, logprob, is_argmax),))))

    def _decode_big(self, model: CachedModel, rows: list[_Row]) -> None:
        busy = [i for i, row in enumerate(rows) if row.floor and row.floor.author == "big" and not row.probe]
        if not busy:
            return
        model.keep(_unfinished(rows))
        logits = model.next_logits(busy, *_reads(rows, busy, "big"))
        for i, token in zip(busy, self._choose(logits, [rows[i] for i in busy]), strict=True):
            rows[i].take(rows[i].controller.receive(Produced("big", (token,))))

    def _close_signals(self, logits: "Tensor") -> list[tuple[float, bool]]:
        close = self.pair.small.token_ids.close
        if close is None or not len(logits):
            return [(-math.inf, False)] * len(logits)
        logprobs = logits.log_softmax(-1)[:, close].tolist()
        return list(zip(logprobs, (logits.argmax(-1) == close).tolist(), strict=True))

    def _choose(self, logits: "Tensor", rows: list[_Row]) -> list[int]:
        """One token for each row, drawn by that row's own random state and never a forbidden one."""
        return sample(forbid(logits, forbidden(rows)), self.sampling, [row.rng for row in rows])


def _unfinished(rows: Sequence[_Row]) -> list[int]:
    return [number for number, row in enumerate(rows) if row.floor]


def forbidden(rows: "Sequence[_Row]") -> list[frozenset[int]]:
    """What each row's model must not write."""
    return [row.floor.forbid if row.floor else frozenset() for row in rows]


def _reads(rows: Sequence[_Row], busy: Sequence[int], author: Author) -> tuple[list[list[int]], list[int]]:
    reads = [rows[number].read(author) for number in busy]
    return [ids for ids, _ in reads], [after for _, after in reads]
