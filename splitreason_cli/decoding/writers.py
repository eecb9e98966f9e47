"""The frozen big model of rollouts that are decoded in chunks: a token wherever it writes, here or behind a server."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ..models.backend import BackendError
from ..models.cached import CachedModel
from ..models.loading import LoadedModel
from ..models.sampling import Sampling, forbid, sample
from .lockstep import forbidden
from .remote import RemoteModel

if TYPE_CHECKING:
    from .lockstep import _Row


class BigWriter(Protocol):
    """`failed` says of row numbers why the big model writes no more in them."""

    failed: dict[int, str]

    def next_tokens(self, chunks: Mapping[int, list[int]]) -> dict[int, int]:
        """The next token of at least one of these rows, by row number, unless all of them fail.

        Args:
            chunks: what was written in each row since its controller was told.
        """
        ...

    def settle(self) -> None:
        """Stop where the small model took back."""
        ...

    def close(self) -> None: ...


class BigHere:
    """In this process: all rows in lockstep."""

    def __init__(self, big: LoadedModel, rows: "Sequence[_Row]", sampling: Sampling) -> None:
        self._model, self._rows, self._sampling = CachedModel(big, len(rows)), rows, sampling
        self.failed: dict[int, str] = {}

    def next_tokens(self, chunks: Mapping[int, list[int]]) -> dict[int, int]:
        rows = [self._rows[number] for number in chunks]
        reads = [row.read("big") for row in rows]
        contexts = [ids + chunk for (ids, _), chunk in zip(reads, chunks.values(), strict=True)]
        logits = self._model.next_logits(list(chunks), contexts, [after for _, after in reads])
        tokens = sample(forbid(logits, forbidden(rows)), self._sampling, [row.rng for row in rows])
        return dict(zip(chunks, tokens, strict=True))

    def settle(self) -> None: ...

    def close(self) -> None: ...


class BigElsewhere:
    """Behind a server: all rows' streams at once. They go on while the small model reads what has come."""

    def __init__(self, remote: RemoteModel, rows: "Sequence[_Row]", sampling: Sampling) -> None:
        self._remote, self._rows = remote, rows
        self._streams = [remote.row(sampling.temperature, row.rng.getrandbits(31)) for row in rows]
        self.failed: dict[int, str] = {}

    def next_tokens(self, chunks: Mapping[int, list[int]]) -> dict[int, int]:
        while True:
            self._remote.arrived.clear()
            found = {number: self._take(number, chunk) for number, chunk in chunks.items()}
            tokens = {number: token for number, token in found.items() if token is not None}
            if tokens or all(number in self.failed for number in chunks):
                return tokens
            self._remote.arrived.wait()

    def _take(self, number: int, chunk: list[int]) -> int | None:
        row = self._rows[number]
        if number in self.failed or row.floor is None:
            return None
        try:
            return self._streams[number].next_token(
                row.controller.context["big"] + chunk,
                replace(row.floor, max_tokens=row.floor.max_tokens - len(chunk)),
            )
        except BackendError as error:
            self.failed[number] = str(error)
            return None

    def settle(self) -> None:
        for row, stream in zip(self._rows, self._streams, strict=True):
            if row.floor is None or row.floor.author != "big":
                stream.stop()

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
