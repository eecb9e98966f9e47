"""Which problem of a benchmark a log speaks of."""

from collections.abc import Sequence

from ..records.data import Problem


class ProblemIndex:
    """Problems by id and by text; white space does not count."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._by_id = {problem.id: problem for problem in problems}
        self._texts = [(_plain(problem.problem), problem) for problem in problems]

    def find(self, name: str | None, question: str | None) -> Problem | None:
        """The problem of this id, unless the question is another's; else the longest one that the question contains.

        A question is a problem's text, maybe with a template around it.
        """
        asked = None if question is None else _plain(question)
        named = None if name is None else self._by_id.get(name)
        if named is not None and (asked is None or _plain(named.problem) in asked):
            return named
        contained = [(len(text), problem) for text, problem in self._texts if asked is not None and text in asked]
        return max(contained, key=lambda pair: pair[0])[1] if contained else None


def _plain(text: str) -> str:
    return " ".join(text.split())
