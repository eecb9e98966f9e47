r"""Benchmark problems that leaked into training data, found by the words they share.

Words are lower-cased runs of `\w`. Eight consecutive ones are the convention of open-r1's decontamination.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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
        self._rows: dict[int, dict[str, tuple[str, str]]] = {n: {}}

    def add(self, problem: str, file: str, where: str) -> None:
        """Remember a benchmark problem. One without any word matches nothing."""
        words = _words(problem)
        length = min(self.n, len(words))
        row = (file, where)
        for ngram in _ngrams(words, length):
            self._rows.setdefault(length, {}).setdefault(ngram, row)

    def find(self, problem: str) -> Match | None:
        """The first n-gram that `problem` shares with a benchmark, the longest kind first."""
        words = _words(problem)
        for length in sorted(self._rows, reverse=True):
            rows = self._rows[length]
            for ngram in _ngrams(words, length) if rows else ():
                if ngram in rows:
                    return Match(*rows[ngram], ngram, whole=length < self.n)
        return None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _ngrams(words: list[str], length: int) -> Iterator[str]:
    if length:
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])
