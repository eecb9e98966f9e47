"""The in-process driver: the small model in lockstep over a batch, the big one beside it, each token forwarded once.

Every conversation owns one row of a key-value cache, and rows advance unevenly: while one row's small model decodes,
another row's big model does. `KeyValueRows` therefore writes each row at its own length instead of padding the batch,
so that a hand-over costs the big model only the tokens it has not read yet.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..models.cached import CachedModel
from ..models.pair import Pair
from ..models.sampling import GREEDY, Sampling, forbid, predictions_of, sample
from ..records.data import Author
from ..split.budget import OffloadBudget
from ..split.controller import SplitController
from ..split.events import Probed, Produced
from ..split.limits import Limits
from ..split.signals import PREDICTIONS, CloseSignal, Prediction, Signal
from .rows import Request, Row, forbidden, running, started
from .writers import BigHere, BigSide, BigWriter

if TYPE_CHECKING:
    from torch import Tensor

OnTick = Callable[[int], None]
"""Called after each decoded position with the number of requests still running."""


class LockstepDecoder:
    """Decodes batches with the two models of a pair.

    Args:
        big: who writes for the big model; None is the pair's own, in this process.
        explores: as in rollouts: the log-probability of closing is that at the sampling temperature, and rows keep the
            small model's words.
    """

    def __init__(
        self,
        pair: Pair,
        limits: Limits,
        sampling: Sampling = GREEDY,
        *,
        big: BigSide | None = None,
        explores: bool = False,
    ) -> None:
        self.pair, self.limits, self.sampling = pair, limits, sampling
        self.big, self.explores = big or BigHere(pair.big), explores
        self.forwarded_tokens: dict[Author, int] = {"small": 0, "big": 0}

    def decode(
        self, requests: Sequence[Request], budget: OffloadBudget | None = None, on_tick: OnTick | None = None
    ) -> list[SplitController]:
        """Decode all requests together and return their finished controllers, in order.

        Args:
            budget: shared by the requests; None grants every hand-over.
        """
        return [row.controller for row in self.rows(requests, budget, on_tick)]

    def rows(
        self, requests: Sequence[Request], budget: OffloadBudget | None = None, on_tick: OnTick | None = None
    ) -> list[Row]:
        """The same, with what the rows remember."""
        small = CachedModel(self.pair.small, len(requests))
        with (
            started(self.pair, requests, self.limits, budget) as rows,
            self.big.writer(rows, self.sampling) as writer,
        ):
            while any(row.floor for row in rows):
                self._read_small(small, rows)
                self._write_big(writer, rows)
                if on_tick:
                    on_tick(len(running(rows)))
            self.forwarded_tokens["big"] += writer.forwarded_tokens
        self.forwarded_tokens["small"] += small.forwarded_tokens
        return rows

    def _read_small(self, model: CachedModel, rows: list[Row]) -> None:
        """One position of the small model: it decodes where it has the floor, and answers probes where it has not."""
        busy = [number for number, row in enumerate(rows) if row.is_with_small]
        if not busy:
            return
        model.keep(running(rows))
        unread = [rows[number].unread("small") for number in busy]
        logits = model.next_logits(busy, [ids for ids, _ in unread], [after for _, after in unread])
        deciding = [n for n, number in enumerate(busy) if not rows[number].probe]
        probing = [n for n, number in enumerate(busy) if rows[number].probe]
        self._decide(logits[deciding], [rows[busy[n]] for n in deciding])
        self._answer(logits[probing], [rows[busy[n]] for n in probing])

    def _decide(self, logits: "Tensor", rows: list[Row]) -> None:
        """The small model's next token in rows where it has the floor."""
        if not rows:
            return
        possible = forbid(logits, forbidden(rows))
        tokens = sample(possible, self.sampling, [row.rng for row in rows])
        if self.explores:
            self._keep_words(possible, tokens, rows)
        told = _predictions(logits, [row.controller.policy.needs for row in rows])
        for n, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            row.take(row.controller.receive(Produced("small", (token,), told.get(n, ()))))

    def _keep_words(self, possible: "Tensor", tokens: list[int], rows: list[Row]) -> None:
        scores = (possible / self.sampling.temperature).log_softmax(-1)
        logprobs = scores[list(range(len(tokens))), tokens].tolist()
        for row, token, logprob in zip(rows, tokens, logprobs, strict=True):
            row.words.append((token, logprob))

    def _answer(self, logits: "Tensor", rows: list[Row]) -> None:
        """Whether the small model would close, in rows where it is asked."""
        signals = self._close_signals(logits / self.sampling.temperature if self.explores else logits)
        for row, (logprob, is_argmax) in zip(rows, signals, strict=True):
            if row.probe:
                upto, row.probe = row.probe.upto, None
                row.take(row.controller.receive(Probed(upto, (CloseSignal(upto, logprob, is_argmax),))))

    def _close_signals(self, logits: "Tensor") -> list[tuple[float, bool]]:
        close = self.pair.small.token_ids.close
        if close is None or not len(logits):
            return [(-math.inf, False)] * len(logits)
        logprobs = logits.log_softmax(-1)[:, close].tolist()
        return list(zip(logprobs, (logits.argmax(-1) == close).tolist(), strict=True))

    def _write_big(self, writer: BigWriter, rows: list[Row]) -> None:
        """The big model's next token where there is one; nothing is waited for while the small model has to read."""
        writer.settle()
        busy = [number for number, row in enumerate(rows) if row.is_with_big]
        tokens = writer.next_tokens({number: [] for number in busy}, wait=not any(row.is_with_small for row in rows))
        for number in busy:
            row = rows[number]
            if row.failed:
                row.fail()
            elif number in tokens:
                row.take(row.controller.receive(Produced("big", (tokens[number],))))


def _predictions(logits: "Tensor", needs: list[frozenset[Signal]]) -> dict[int, tuple[Prediction, ...]]:
    """For the rows of `logits` whose policies read predictions, by number."""
    asked = [n for n, signals in enumerate(needs) if signals & PREDICTIONS]
    if not asked:
        return {}
    found = predictions_of(logits[asked], frozenset[Signal]().union(*(needs[n] for n in asked)))
    return {n: (prediction,) for n, prediction in zip(asked, found, strict=True)}
