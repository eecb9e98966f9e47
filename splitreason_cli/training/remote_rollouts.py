"""Rollouts with a big model behind a server: the small model goes on in lockstep, big tokens are read as they come."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..decoding.remote import RemoteModel, RemoteRow
from ..errors import EndpointError
from ..models.backend import BackendError
from ..models.loading import LoadedModel
from ..models.pair import Pair
from ..split.controller import SplitController
from ..split.events import Cancelled, Produced
from ..split.limits import Limits
from ..split.policies import Sampled
from .rollouts import Rollout, RolloutDecoder

if TYPE_CHECKING:
    from ..decoding.lockstep import _Row


class RemoteRolloutDecoder(RolloutDecoder):
    """As `RolloutDecoder`, the big model elsewhere. A row for which it fails ends there, with nothing decided in it.

    Raises ModelError if the two models have different vocabularies or the small one does not know the tags.
    """

    def __init__(
        self, pair: Pair, big: RemoteModel, limits: Limits, temperature: float, *, sample_closing: bool = True
    ) -> None:
        super().__init__(pair, limits, temperature, sample_closing=sample_closing)
        self._remote = big
        self._failed: dict[int, str] = {}

    @contextmanager
    def _big_side(self, rows: "list[_Row]") -> Iterator[Callable[[], None]]:
        self._failed = {}
        remotes = [self._remote.row(self.sampling.temperature, row.rng.getrandbits(31)) for row in rows]
        try:
            yield partial(self._take_big, rows, remotes)
        finally:
            for remote in remotes:
                remote.close()

    def _take_big(self, rows: "list[_Row]", remotes: list[RemoteRow]) -> None:
        """One token in each row that has one. Waits if there is none and the small model has nothing to do either."""
        self._remote.arrived.clear()
        waiting = [self._waits(row, remote) for row, remote in zip(rows, remotes, strict=True)]
        if any(waiting) and sum(waiting) == sum(row.floor is not None for row in rows):
            self._remote.arrived.wait()

    def _waits(self, row: "_Row", remote: RemoteRow) -> bool:
        """Take the row's next token; whether there is nothing to do in it until one arrives."""
        if row.floor is None or row.floor.author != "big":
            remote.stop()
            return False
        if row.probe:
            return False
        try:
            token = remote.next_token(row.controller.context["big"], row.floor)
        except BackendError as error:
            self._failed[id(row.controller)] = str(error)
            row.take(row.controller.receive(Cancelled()))
            return False
        if token is not None:
            row.take(row.controller.receive(Produced("big", (token,))))
        return token is None

    def _rollout(self, controller: SplitController, policy: Sampled) -> Rollout:
        rollout = super()._rollout(controller, policy)
        failed = self._failed.get(id(controller))
        if failed is None:
            return rollout
        length = len(rollout.completion_ids)
        return replace(rollout, decided=(0,) * length, logprobs=(0.0,) * length, failed=failed)


def rollout_decoder(
    small: LoadedModel, big: LoadedModel | RemoteModel, limits: Limits, temperature: float, *, hint: bool,
    sample_closing: bool,
) -> RolloutDecoder:  # fmt: skip
    """The decoder for a big model that is here, or elsewhere. Raises as they do."""
    pair = pair_with(small, big, hint=hint)
    if isinstance(big, RemoteModel):
        return RemoteRolloutDecoder(pair, big, limits, temperature, sample_closing=sample_closing)
    return RolloutDecoder(pair, limits, temperature, sample_closing=sample_closing)


def pair_with(small: LoadedModel, big: LoadedModel | RemoteModel, *, hint: bool) -> Pair:
    """The pair of a policy and a big model that is here, or elsewhere."""
    if isinstance(big, RemoteModel):
        return Pair.of(small, big.loaded, hint=hint, big_knows_tags=False)
    return Pair.of(small, big, hint=hint)


def answered(rollouts: Sequence[Rollout]) -> tuple[list[Rollout], str]:
    """The rollouts that the big model did not fail, and a line about the others if there are any.

    Raises EndpointError if it failed all that asked it.
    """
    failed = [one for one in rollouts if one.failed]
    if not failed:
        return list(rollouts), ""
    if len(failed) == sum(one.spans > 0 for one in rollouts):
        hint = "Start it again, then run the command again: it goes on from the last checkpoint"
        raise EndpointError(f"the big model does not answer ({failed[0].failed})", hint)
    warning = f"{len(failed)} of {len(rollouts)} rollouts left out, the big model failed ({failed[0].failed})"
    return [one for one in rollouts if not one.failed], warning
