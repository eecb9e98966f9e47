"""Who writes the big model's next token in the rows of a batch: a model in this process, or one behind a server."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from ..models.backend import BackendError
from ..models.cached import CachedModel
from ..models.loading import LoadedModel
from ..models.pair import Pair
from ..models.sampling import Sampling, forbid, sample
from .remote import RemoteModel
from .rows import Row, forbidden, running


class BigWriter(Protocol):
    """Writes in the rows of one batch."""

    @property
    def forwarded_tokens(self) -> int:
        """How many tokens went through a model in this process."""
        ...

    def next_tokens(self, chunks: Mapping[int, list[int]], *, wait: bool) -> dict[int, int]:
        """The next token of rows where the big model has the floor, by row number. A row that fails says so.

        Args:
            chunks: what was written in each row since its controller was told.
            wait: until there is a token in one of them at least, or all have failed.
        """
        ...

    def settle(self) -> None:
        """Stop where the small model took back."""
        ...


class BigSide(Protocol):
    """A big model that writes in batches.

    Attributes:
        loaded: its tokenizer, and its weights where they are here.
        knows_tags: see `Pair.of`.
    """

    @property
    def loaded(self) -> LoadedModel: ...

    @property
    def knows_tags(self) -> bool: ...

    def writer(self, rows: Sequence[Row], sampling: Sampling) -> AbstractContextManager[BigWriter]: ...


@dataclass(frozen=True)
class BigHere:
    """In this process: all rows in lockstep."""

    loaded: LoadedModel
    knows_tags: ClassVar[bool] = True

    @contextmanager
    def writer(self, rows: Sequence[Row], sampling: Sampling) -> Iterator[BigWriter]:
        yield _WriterHere(self.loaded, rows, sampling)


@dataclass(frozen=True)
class BigServed:
    """Behind a server: all rows' streams at once. They go on while the small model reads what has come."""

    remote: RemoteModel
    knows_tags: ClassVar[bool] = False

    @property
    def loaded(self) -> LoadedModel:
        return self.remote.loaded

    @contextmanager
    def writer(self, rows: Sequence[Row], sampling: Sampling) -> Iterator[BigWriter]:
        with closing(_WriterServed(self.remote, rows, sampling)) as writer:
            yield writer


def pair_of(small: LoadedModel, big: BigSide, *, hint: bool) -> Pair:
    """The pair of a small model and who writes for the big one. Raises as `Pair.of`."""
    return Pair.of(small, big.loaded, hint=hint, big_knows_tags=big.knows_tags)


class _WriterHere:
    def __init__(self, big: LoadedModel, rows: Sequence[Row], sampling: Sampling) -> None:
        self.model, self._rows, self._sampling = CachedModel(big, len(rows)), rows, sampling

    @property
    def forwarded_tokens(self) -> int:
        return self.model.forwarded_tokens

    def next_tokens(self, chunks: Mapping[int, list[int]], *, wait: bool) -> dict[int, int]:
        if not chunks:
            return {}
        self.model.keep(running(self._rows))
        rows = [self._rows[number] for number in chunks]
        unread = [row.unread("big") for row in rows]
        contexts = [ids + chunk for (ids, _), chunk in zip(unread, chunks.values(), strict=True)]
        logits = self.model.next_logits(list(chunks), contexts, [after for _, after in unread])
        tokens = sample(forbid(logits, forbidden(rows)), self._sampling, [row.rng for row in rows])
        return dict(zip(chunks, tokens, strict=True))

    def settle(self) -> None: ...


class _WriterServed:
    forwarded_tokens = 0

    def __init__(self, remote: RemoteModel, rows: Sequence[Row], sampling: Sampling) -> None:
        self._remote, self._rows = remote, rows
        self._streams = [remote.row(sampling.temperature, row.rng.getrandbits(31)) for row in rows]

    def next_tokens(self, chunks: Mapping[int, list[int]], *, wait: bool) -> dict[int, int]:
        while True:
            self._remote.arrived.clear()
            found = {number: self._next(number, chunk) for number, chunk in chunks.items()}
            tokens = {number: token for number, token in found.items() if token is not None}
            if tokens or not wait or all(self._rows[number].failed for number in chunks):
                return tokens
            self._remote.arrived.wait()

    def _next(self, number: int, chunk: list[int]) -> int | None:
        row = self._rows[number]
        if row.failed or row.floor is None:
            return None
        floor = replace(row.floor, max_tokens=row.floor.max_tokens - len(chunk))
        try:
            return self._streams[number].next_token(row.controller.context["big"] + chunk, floor)
        except BackendError as error:
            row.failed = str(error)
            return None

    def settle(self) -> None:
        for row, stream in zip(self._rows, self._streams, strict=True):
            if row.floor is None or row.floor.author != "big":
                stream.stop()

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
