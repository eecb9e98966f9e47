"""Rollouts of a policy that an engine runs: it asks for whole turns, and for many positions of a span in one call.

Rounds of two phases. First the small model writes wherever it has the floor, up to a hand-over. Then the big model
writes a chunk of each span, and the small one's next token is drawn after each token of the chunk. It takes back at the
first place where its draw is the closing tag, so it does with the probability that the tag has; what the big model
wrote beyond is cut. The engine has the beginnings of those prompts in its prefix cache.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ..decoding.lockstep import Request
from ..decoding.remote import RemoteModel
from ..decoding.writers import BigElsewhere, BigHere, BigWriter
from ..models.loading import LoadedModel
from ..split.budget import OffloadBudget
from ..split.controller import SplitController
from ..split.events import Cancelled, Decode, Probed, Produced
from ..split.limits import Limits
from ..split.policies import CloseSignal, Sampled
from .policy_engine import PolicyEngine
from .remote_rollouts import pair_with
from .rollouts import Rollout, RolloutDecoder
from .solo import SoloDecoder

if TYPE_CHECKING:
    from ..decoding.lockstep import _Row

CHUNK_TOKENS = 16
"""How many positions of a span the small model is asked about at once: longer chunks waste more behind a closing."""


class EngineRollouts(RolloutDecoder):
    """As `RolloutDecoder`, the small model run by an engine, the big one in this process or behind a server.

    Its rollouts hold no log-probabilities, and equal seeds give equal ones only as far as the engine draws alike. A row
    for which a server fails ends there, with nothing decided in it. Ranks that share an engine make rollouts together.

    Raises ModelError if the two models have different vocabularies or the small one does not know the tags.
    """

    def __init__(
        self, small: LoadedModel, big: LoadedModel | RemoteModel, limits: Limits, temperature: float, *,
        engine: PolicyEngine, hint: bool, sample_closing: bool = True, chunk_tokens: int = CHUNK_TOKENS,
    ) -> None:  # fmt: skip
        super().__init__(pair_with(small, big, hint=hint), limits, temperature, sample_closing=sample_closing)
        self._writing_model, self._engine, self._chunk_tokens = big, engine, chunk_tokens
        self._failed: dict[int, str] = {}

    def decode(
        self,
        requests: Sequence[Request],
        budget: OffloadBudget | None = None,
        on_tick: Callable[[int], None] | None = None,
    ) -> list[SplitController]:
        """Decode all requests together and return their finished controllers, in order. `on_tick` follows a round.

        Raises ModelError if a conversation outgrows the engine.
        """
        self._failed = {}
        with self._started(requests, budget) as rows, self._writer(rows) as writer:
            while self._engine.is_any(any(row.floor for row in rows)):
                self._write_turns(rows)
                self._write_chunks(rows, writer)
                self._ask_where_to_close(rows)
                writer.settle()
                if on_tick:
                    on_tick(sum(row.floor is not None for row in rows))
        return [row.controller for row in rows]

    @contextmanager
    def _writer(self, rows: "list[_Row]") -> Iterator[BigWriter]:
        big = self._writing_model
        writer: BigWriter = (
            BigElsewhere(big, rows, self.sampling)
            if isinstance(big, RemoteModel)
            else BigHere(big, rows, self.sampling)
        )
        with closing(writer):
            yield writer

    def _write_turns(self, rows: "list[_Row]") -> None:
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
            self._words.setdefault(id(row.controller), []).extend((token, 0.0) for token in own)
            row.take(row.controller.receive(Produced("small", tuple(own))))

    def _write_chunks(self, rows: "list[_Row]", writer: BigWriter) -> None:
        """The big model goes on by a chunk in each span."""
        spans = {n: (row.floor, list[int]()) for n, row in enumerate(rows) if row.floor and row.floor.author == "big"}
        while chunks := {
            number: chunk
            for number, (floor, chunk) in spans.items()
            if number not in writer.failed and self._goes_on(rows[number].controller, floor, chunk)
        }:
            for number, token in writer.next_tokens(chunks).items():
                spans[number][1].append(token)
        for number, (_, chunk) in spans.items():
            row = rows[number]
            if number in writer.failed:
                self._failed[id(row.controller)] = writer.failed[number]
                row.take(row.controller.receive(Cancelled()))
            else:
                row.take(row.controller.receive(Produced("big", tuple(chunk))))

    def _goes_on(self, controller: SplitController, floor: Decode, chunk: list[int]) -> bool:
        is_over = bool(chunk) and chunk[-1] in controller.tokens_of("big").end_of_text
        return not is_over and len(chunk) < min(self._chunk_tokens, floor.max_tokens)

    def _ask_where_to_close(self, rows: "list[_Row]") -> None:
        """Draw the small model's next token after each token of the chunks."""
        asked = [(row, row.probe.upto, row.controller.unconfirmed) for row in rows if row.probe]
        drawn = iter(
            self._engine.generate(
                [row.controller.small_context_at(offset) for row, _, offsets in asked for offset in offsets],
                1,
                self.sampling.temperature if self._sample_closing else 0.0,
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

    def _rollout(self, controller: SplitController, policy: Sampled) -> Rollout:
        rollout = replace(super()._rollout(controller, policy), logprobs=())
        failed = self._failed.get(id(controller))
        return replace(rollout, decided=(0,) * len(rollout.decided), failed=failed) if failed else rollout


class EngineSolo(SoloDecoder):
    """As `SoloDecoder`, by an engine, in one call. Seeds are not used."""

    def __init__(
        self, small: LoadedModel, max_tokens: int, temperature: float, *, engine: PolicyEngine, hint: bool
    ) -> None:
        super().__init__(small, max_tokens, temperature, hint=hint)
        self._engine = engine

    def rollouts(self, problems: Sequence[str], seeds: Sequence[str]) -> list[Rollout]:
        """A rollout of each problem. Raises ModelError if one outgrows the engine."""
        prompts = [self.small.prompt_ids(problem, hint=self.hint) for problem in problems]
        ends = self.small.token_ids.end_of_text
        written = self._engine.generate(prompts, self.max_tokens, self.sampling.temperature, stop=ends)
        return [self._rollout(prompt, ids) for prompt, ids in zip(prompts, written, strict=True)]
