"""A text as pages show it: its parts, marked or not, and what is known of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """Consecutive text of a view. `size` is in the unit of the view, `note` says more of a marked part."""

    text: str
    marked: bool
    size: int
    note: str = ""


@dataclass(frozen=True)
class Words:
    """What a page calls the text of a view, a marked part of it, an unmarked one, and the unit of their sizes."""

    text: str
    marked: str
    rest: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class View:
    """One text with what a page says of it.

    Attributes:
        kind: of the record.
        by: what texts of one problem are told apart by, such as a system; the title is `id`, `role` and `by`.
        brief: a few words for lists.
        facets: for each filter of the page, the choices that find this view.
        after: further texts, each below its heading.
        sample: of several by the same for one problem; None leaves the counting to the page.
        correct: a verdict, if there is one.
        share: of the text that is marked, 0..1; None where that means nothing.
    """

    kind: str
    id: str
    by: str
    role: str
    problem: str
    words: Words
    parts: Sequence[Part]
    brief: str
    facts: Mapping[str, str]
    facets: Mapping[str, Sequence[str]]
    after: Sequence[tuple[str, str]] = field(default=())
    sample: int | None = None
    correct: bool | None = None
    share: float | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)


def parts_of(text: str, marked: Iterable[tuple[int, int, str]]) -> list[Part]:
    """Cut a text at the sorted, disjoint ranges [start, end) of characters that are marked, each with its note."""
    parts: list[Part] = []
    done = 0
    for start, end, note in marked:
        parts += [Part(text[done:start], False, start - done), Part(text[start:end], True, end - start, note)]
        done = end
    parts.append(Part(text[done:], False, len(text) - done))
    return [part for part in parts if part.text]
