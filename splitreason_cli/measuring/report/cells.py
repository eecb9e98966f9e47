"""The grid of a report: what the completions of one problem by one run came to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """The completions of one problem by one run: how many are right, of how many with a verdict."""

    right: int = 0
    graded: int = 0
    ungraded: int = 0

    @property
    def quarters(self) -> str:
        """The share that is right as a name of a style: 0 none, 1 to 3 some, 4 all, `none` without any verdict."""
        if not self.graded:
            return "none"
        return str(4 if self.right == self.graded else min(3, -(-4 * self.right // self.graded)))

    def add(self, correct: bool | None) -> "Cell":
        """The same with one completion more."""
        known = correct is not None
        return Cell(self.right + bool(correct), self.graded + known, self.ungraded + (not known))


@dataclass
class Grid:
    """Cells by problem, in order of first appearance, and by run."""

    runs: int
    _cells: dict[str, dict[int, Cell]] = field(default_factory=dict)

    def add(self, problem: str, run: int, correct: bool | None) -> None:
        row = self._cells.setdefault(problem, {})
        row[run] = row.get(run, Cell()).add(correct)

    def rows(self) -> list[tuple[str, list[Cell | None]]]:
        """For each problem its id and its cells by run, None where it was not run."""
        return [(problem, [row.get(run) for run in range(self.runs)]) for problem, row in self._cells.items()]


def disagreements(rows: Sequence[tuple[str, list[Cell | None]]]) -> Iterator[bool]:
    """For each problem, whether runs differ in the share that is right."""
    for _, cells in rows:
        yield len({cell.right / cell.graded for cell in cells if cell and cell.graded}) > 1
