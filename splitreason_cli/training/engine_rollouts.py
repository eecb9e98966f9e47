"""Rollouts of a policy that an engine runs: it asks for whole turns, and for many positions of a span in one call.

Rounds of two phases. First the small model writes wherever it has the floor, up to a hand-over. Then the big model
writes a chunk of each span, and the small one's next token is drawn after each token of the chunk. It takes back at the
first place where its draw is the closing tag, so it does with the probability that the tag has; what the big model
wrote beyond is cut. The engine has the beginnings of those prompts in its prefix cache.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..decoding.rows import Request, Row, started
from ..decoding.writers import BigSide, BigWriter
from ..models.pair import Pair
from ..models.sampling import Sampling
from ..split.controller import SplitController
from ..split.events import Decode, Probed, Produced
from ..split.limits import Limits
from ..split.signals import CloseSignal
from .policy_engine import PolicyEngine

CHUNK_TOKENS = 16
"""How many positions of a span the small model is asked about at once: longer chunks waste more behind a closing."""


@dataclass(frozen=True)
class Exploration:
    """What of a rollout is drawn: words at `temperature`, and closing too if `sample_closing`; see `RolloutDecoder`."""

    temperature: float
    sample_closing: bool = True

    @property
    def closing_temperature(self) -> float:
        """0 where the likeliest token decides."""
        return self.temperature if self.sample_closing else 0.0


class EngineDecoder:
    """Decodes batches with a small model that an engine runs, for `RolloutDecoder`.

    Words have no log-probabilities, and equal seeds give equal rows only as far as the engine draws alike. Ranks that
    share an engine decode together.

    Args:
        big: who writes for the big model.
        chunk_tokens: of a span before the small model is asked where it would close.

    Raises ModelError if the small model does not know the tags.
    """

    def __init__(
        self,
        pair: Pair,
        limits: Limits,
        exploration: Exploration,
        engine: PolicyEngine,
        big: BigSide,
        *,
        chunk_tokens: int = CHUNK_TOKENS,
    ) -> None:
        self.pair, self.limits, self.sampling = pair, limits, Sampling(exploration.temperature)
        self._engine, self._big, self._chunk_tokens = engine, big, chunk_tokens
        self._tags, self._closing_temperature = pair.small.tag_ids(), exploration.closing_temperature

    def rows(self, requests: Sequence[Request]) -> list[Row]:
        """Decode all requests together and return what became of them, in order.

        Raises ModelError if a conversation outgrows the engine.
        """
        with started(self.pair, requests, self.limits, None) as rows, self._big.writer(rows, self.sampling) as writer:
            while self._engine.is_any(any(row.floor for row in rows)):
                self._write_turns(rows)
                self._write_chunks(rows, writer)
                self._ask_where_to_close(rows)
                writer.settle()
        return rows

    def _write_turns(self, rows: list[Row]) -> None:
        """The small model writes up to a hand-over or an end, wherever it has the floor."""
        turns = [(row, row.floor) for row in rows if row.floor and row.floor.author == "small"]
        open_id, close_id = self._tags
        written = self._engine.generate(
            [row.controller.context["small"] for row, _ in turns],
            max((floor.max_tokens for _, floor in turns), default=1),
            self.sampling.temperature,
            stop={open_id, *self.pair.small.token_ids.end_of_text},
            forbid={close_id},
        )
        for (row, floor), ids in zip(turns, written, strict=True):
            # The call's limit is that of the row with most room.
            own = ids[: floor.max_tokens]
            row.words.extend((token, None) for token in own)
            row.take(row.controller.receive(Produced("small", tuple(own))))

    def _write_chunks(self, rows: list[Row], writer: BigWriter) -> None:
        """The big model goes on by a chunk in each span."""
        spans = {n: (row.floor, list[int]()) for n, row in enumerate(rows) if row.floor and row.floor.author == "big"}
        while chunks := {
            number: chunk
            for number, (floor, chunk) in spans.items()
            if not rows[number].failed and self._goes_on(rows[number].controller, floor, chunk)
        }:
            for number, token in writer.next_tokens(chunks, wait=True).items():
                spans[number][1].append(token)
        for number, (_, chunk) in spans.items():
            row = rows[number]
            if row.failed:
                row.fail()
            else:
                row.take(row.controller.receive(Produced("big", tuple(chunk))))

    def _goes_on(self, controller: SplitController, floor: Decode, chunk: list[int]) -> bool:
        is_over = bool(chunk) and chunk[-1] in controller.tokens_of("big").end_of_text
        return not is_over and len(chunk) < min(self._chunk_tokens, floor.max_tokens)

    def _ask_where_to_close(self, rows: list[Row]) -> None:
        """Draw the small model's next token after each token of the chunks."""
        asked = [(row, row.probe.upto, row.controller.unconfirmed) for row in rows if row.probe]
        drawn = iter(
            self._engine.generate(
                [row.controller.small_context_at(offset) for row, _, offsets in asked for offset in offsets],
                1,
                self._closing_temperature,
            )
        )
        for row, upto, offsets in asked:
            # A token that was drawn is a decision already made: closing is certain or ruled out.
            closes = {offset: next(drawn)[0] == self._tags[1] for offset in offsets}
            signals = tuple(
                CloseSignal(at, 0.0 if is_close else -math.inf, is_close) for at, is_close in closes.items()
            )
            row.probe = None
            row.take(row.controller.receive(Probed(upto, signals)))
