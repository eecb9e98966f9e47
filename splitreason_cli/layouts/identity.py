"""Ids that are unique where rows repeat."""

import hashlib
import re
from typing import Protocol


class Given(Protocol):
    """A map from bytes to bytes, such as a dictionary, or one that outgrows memory."""

    def get(self, key: bytes, /) -> bytes | None: ...
    def __setitem__(self, key: bytes, value: bytes, /) -> None: ...


class UniqueIds:
    """Gives each id once; one that repeats gets a number behind it, which depends on the order of the rows alone.

    Args:
        given: where the digest of every id that was given is kept.

    Attributes:
        repeated: how many got a number.
    """

    def __init__(self, given: Given) -> None:
        self.repeated = 0
        # Of each the last number behind it, 1 without one.
        self._given = given

    @property
    def note(self) -> str:
        """What a person should know of it; empty if no id repeated."""
        what = f"{self.repeated:,} traces repeat" if self.repeated > 1 else "1 trace repeats"
        return f"{what} an id, and got a number behind it" if self.repeated else ""

    def of(self, name: str) -> str:
        """This id, or `name#2`, `name#3`, ... where it was given before."""
        digest = id_digest(name)
        last = self._given.get(digest)
        if last is None:
            self._given[digest] = b"1"
            return name
        self.repeated += 1
        number = int(last) + 1
        while self._given.get(id_digest(f"{name}#{number}")) is not None:
            number += 1
        self._given[digest] = b"%d" % number
        self._given[id_digest(f"{name}#{number}")] = b"1"
        return f"{name}#{number}"


def unnumbered(name: str) -> str:
    """The id that `UniqueIds` was asked for when it gave this one, if it put a number behind it."""
    return re.sub(r"#\d+\Z", "", name)


def id_digest(name: str) -> bytes:
    """Eight bytes that stand for an id."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8]
