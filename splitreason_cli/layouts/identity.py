"""Ids that are unique where rows repeat."""

import hashlib


class UniqueIds:
    """Gives each id once; one that repeats gets a number behind it, which depends on the order of the rows alone.

    Attributes:
        repeated: how many got a number.
    """

    def __init__(self) -> None:
        self.repeated = 0
        self._given: set[bytes] = set()
        self._next: dict[bytes, int] = {}

    def of(self, name: str) -> str:
        """This id, or `name#2`, `name#3`, ... where it was given before."""
        digest = id_digest(name)
        if digest not in self._given:
            self._given.add(digest)
            return name
        self.repeated += 1
        number = self._next.get(digest, 2)
        while id_digest(f"{name}#{number}") in self._given:
            number += 1
        self._next[digest] = number + 1
        self._given.add(id_digest(f"{name}#{number}"))
        return f"{name}#{number}"


def id_digest(name: str) -> bytes:
    """Eight bytes that stand for an id."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8]
