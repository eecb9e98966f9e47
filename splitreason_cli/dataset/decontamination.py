r"""Benchmark problems that leaked into training data, found by the words they share.

Words are lower-cased runs of `\w`. Eight consecutive ones are the convention of open-r1's decontamination.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..store.disk_map import DiskMap

IN_MEMORY = 2_000_000
"""N-grams that are held in memory, some 400 MB of them; further ones lie on disk."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Match:
    """Words that a problem shares with a row of a benchmark: its file, `file:line`, the words.

    `whole` is true if they are all the words of a row that is shorter than an n-gram.
    """

    file: str
    where: str
    ngram: str
    whole: bool

    @property
    def reason(self) -> str:
        what = "all the words" if self.whole else f"the {self.ngram.count(' ') + 1}-gram"
        return f"the problem shares {what} '{self.ngram}' with {self.where}"


class NgramIndex:
    """The n-grams of benchmark problems. A problem of fewer than `n` words is one shorter n-gram of its own.

    Args:
        n: the number of consecutive words that make a match, at least 1.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._lengths = {n}
        self._rows: dict[str, tuple[str, str]] = {}
        self._more: DiskMap | None = None

    def add(self, problem: str, file: str, where: str) -> None:
        """Remember a benchmark problem. One without any word matches nothing."""
        words = _words(problem)
        length = min(self.n, len(words))
        self._lengths |= {length} if length else set()
        row = (file, where)
        for ngram in _ngrams(words, length):
            if len(self._rows) < IN_MEMORY:
                self._rows.setdefault(ngram, row)
            elif ngram not in self._rows:
                self._more = self._more or DiskMap()
                self._more.add(_key(ngram), "\0".join(row).encode("utf-8", "surrogatepass"))

    def find(self, problem: str) -> Match | None:
        """The first n-gram that `problem` shares with a benchmark, the longest kind first."""
        words = _words(problem)
        for length in sorted(self._lengths, reverse=True) if self._rows else ():
            for ngram in _ngrams(words, length):
                if row := self._rows.get(ngram) or self._on_disk(ngram):
                    return Match(*row, ngram, whole=length < self.n)
        return None

    def _on_disk(self, ngram: str) -> tuple[str, str] | None:
        found = self._more.get(_key(ngram)) if self._more else None
        if found is None:
            return None
        file, _, where = found.decode("utf-8", "surrogatepass").partition("\0")
        return file, where


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _ngrams(words: list[str], length: int) -> Iterator[str]:
    if length:
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])


def _key(ngram: str) -> bytes:
    return ngram.encode("utf-8", "surrogatepass")
