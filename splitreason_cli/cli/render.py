"""Records as text for a terminal. Offloaded spans are coloured and bracketed, so they survive without colour."""

from collections.abc import Iterable

import orjson
from rich.console import Group, RenderableType
from rich.text import Text

from ..core import markup
from ..core.records import (
    AnnotatedTrace,
    Generation,
    Message,
    Record,
    SftConversation,
    SftExample,
    Snippets,
    Trace,
)

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


def _task(problem: str, answer: str) -> str:
    return f"{problem}\nanswer {answer}"


def _text(record: Record, facts: str, parts: list[Piece]) -> RenderableType:
    headline = Text(f"{record.kind} {getattr(record, 'id', '')}", style="bold")
    return Group(headline, Text(facts, style="dim"), Text(), highlighted(parts), Text())
