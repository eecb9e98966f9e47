"""What a row of a log holds, whoever wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Layout = Literal["generation", "lm_eval", "lighteval", "lighteval_old", "batch", "plain"]


@dataclass(frozen=True)
class Completion:
    """One completion of a log, without its prompt. What the log does not say is None.

    `text` is None where the log holds none, which is no answer and not a wrong one. `label` is what another program
    made of it: 1 for right, 0 for wrong, or the mean over those of its row.
    """

    text: str | None
    finish_reason: str | None = None
    tokens: int | None = None
    big_tokens: int | None = None
    label: float | None = None


@dataclass(frozen=True)
class LoggedSamples:
    """The completions of one problem in a row. What the row does not say is None.

    `question` is the problem, maybe with a template around it, `gold` the right answer behind its field's name. `key`
    and `filter` are those of a row that lm_eval repeats for each of its filters. `system` made the completions.
    `columns` says which column was taken for what.
    """

    layout: Layout
    completions: tuple[Completion, ...]
    id: str | None = None
    question: str | None = None
    gold: tuple[str, object] | None = None
    key: str | None = None
    filter: str | None = None
    system: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
