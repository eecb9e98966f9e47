"""Records as text for a terminal. Offloaded spans are coloured and bracketed, so they survive without colour."""

from collections.abc import Iterable, Sequence
from typing import Literal

import orjson
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..records import markup
from ..records.data import (
    AnnotatedTrace,
    Generation,
    GrpoStep,
    Message,
    Record,
    SftConversation,
    SftExample,
    Snippets,
    Trace,
)
from ..training.collapse import first_warnings

LEFT, RIGHT = "⟦", "⟧"
BIG = "bold black on yellow"

Piece = tuple[str, bool]
"""Text, and whether it is an offloaded span."""


def render(record: Record) -> RenderableType:
    """One record: a headline, then its text with the spans highlighted."""
    match record:
        case Trace():
            return _text(record, _task(record.problem, record.answer), [(record.reasoning, False)])
        case AnnotatedTrace():
            spans = [(span.start, span.end) for span in record.spans]
            share = markup.covered(markup.normalize(spans)) / max(1, len(record.reasoning))
            facts = f"{_task(record.problem, record.answer)}\n{len(spans)} spans, {share:.1%} of the characters"
            return _text(record, facts, pieces(record.reasoning, spans))
        case SftExample():
            return _text(record, "\n".join(message.content for message in record.prompt), _tagged(record.completion))
        case SftConversation():
            *before, last = record.messages or (Message(role="", content=""),)
            return _text(record, "\n".join(message.content for message in before), _tagged(last.content))
        case Snippets():
            marked = [piece for snippet in record.snippets for piece in ((snippet, True), ("\n", False))]
            return _text(record, f"{len(record.snippets)} snippets, hardest first", marked)
        case Generation():
            verdict = {True: "right", False: "wrong", None: "no verdict"}[record.correct]
            share = record.big_tokens / record.tokens if record.tokens else 0.0
            facts = (
                f"{_task(record.problem, record.answer)}\n{record.system}, sample {record.sample}: {verdict}, "
                f"offload {share:.1%} of {record.tokens} tokens in {record.spans} spans, {record.refused} refused"
            )
            return _text(record, facts, [(segment.text, segment.author == "big") for segment in record.segments])
    fields = record.to_dict()
    lines = [
        f"{name}: {value if isinstance(value, str) else orjson.dumps(value).decode()}" for name, value in fields.items()
    ]
    return Text("\n".join(lines[2:]) and f"{record.kind}\n  " + "\n  ".join(lines[2:]) + "\n")


def steps_table(steps: Sequence[Record]) -> Table:
    """What a trainer logged, a line a step; a column that no step has is left out.

    Of GRPO the loss and the schedule are left out too: its loss is about 0 whatever it learns. Warnings stand below,
    each with the step that it first came at.
    """
    rows = [step.to_dict() for step in steps]
    left_out = {"kind", "schema"} | ({"loss", "learning_rate", "warning"} if isinstance(steps[0], GrpoStep) else set())
    names = [name for name in rows[0] if name not in left_out and any(row.get(name) not in (None, "") for row in rows)]
    table = Table(title=f"{steps[0].kind}, {len(rows):,} records", box=box.SIMPLE, padding=0)
    for name in names:
        justify: Literal["left", "right"] = "left" if isinstance(rows[0][name], str) else "right"
        # Broken here, as rich would shorten words rather than break all names.
        table.add_column(name.replace("_", "\n"), justify=justify)
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    warnings = first_warnings(step for step in steps if isinstance(step, GrpoStep))
    table.caption = "\n".join(f"step {step}: {warning}" for warning, step in warnings.items()) or None
    return table


def pieces(text: str, spans: Iterable[markup.Span]) -> list[Piece]:
    """Cut a text at its spans."""
    cut: list[Piece] = []
    done = 0
    for start, end in markup.normalize(spans):
        cut += [(text[done:start], False), (text[start:end], True)]
        done = end
    return [*cut, (text[done:], False)]


def highlighted(parts: Iterable[Piece]) -> Text:
    """A text whose offloaded pieces stand in brackets, coloured where there is colour."""
    text = Text()
    for piece, offloaded in parts:
        if offloaded:
            text.append(f"{LEFT}{piece}{RIGHT}", style=BIG)
        else:
            text.append(piece)
    return text


def _tagged(completion: str) -> list[Piece]:
    try:
        return pieces(*markup.parse(completion))
    except markup.MarkupError:
        return [(completion, False)]


def _cell(value: object) -> Text:
    if isinstance(value, float):
        return Text(f"{value:.3f}" if not value or abs(value) >= 0.001 else f"{value:.1e}")
    return Text("" if value is None else str(value))


def _task(problem: str, answer: str) -> str:
    return f"{problem}\nanswer {answer}"


def _text(record: Record, facts: str, parts: list[Piece]) -> RenderableType:
    headline = Text(f"{record.kind} {getattr(record, 'id', '')}", style="bold")
    return Group(headline, Text(facts, style="dim"), Text(), highlighted(parts), Text())
