"""The view of a record of each kind that holds a text."""

from collections.abc import Mapping, Sequence
from functools import singledispatch

from ..records import markup
from ..records.data import (
    AnnotatedTrace,
    Generation,
    HardSpan,
    Message,
    Problem,
    Record,
    SftConversation,
    SftExample,
    SftRecord,
    Snippets,
    Trace,
    Unplaced,
    label,
)
from ..records.measurement import unknown_in
from .views import Part, View, Words, parts_of

VIEWED = ("annotated_trace", "sft_example", "sft_conversation", "generation", "trace", "snippets", "problem")
UNKNOWN_FACT = "not in the log"
LABELS = "Labels"
"""The filter for whoever checks labels."""

_VERDICTS = {True: "✓ right", False: "✗ wrong", None: "? no verdict"}
_REASONING = Words("Reasoning", "span", "unmarked", "character")
_COMPLETION = Words("Completion", "span", "unmarked", "character")
_BY_TOKENS = Words("Completion", "big", "small", "token")


@singledispatch
def view_of(record: Record) -> View | None:
    """The view of a record; None of a kind that holds no text but only figures."""
    return None


@view_of.register
def _problem(problem: Problem) -> View:
    return _plain(problem, problem.problem, {"answer": problem.answer}, ())


@view_of.register
def _trace(trace: Trace) -> View:
    parts = parts_of(trace.reasoning, ())
    return _plain(trace, trace.problem, {"answer": trace.answer}, parts, _response(trace.response))


@view_of.register
def _snippets(record: Snippets) -> View:
    parts = [part for text in record.snippets for part in (Part(text, True, len(text)), Part("\n", False, 1))]
    return _plain(record, "", {"snippets": f"{len(record.snippets):,}, hardest first"}, parts)


def _plain(
    record: Problem | Trace | Snippets,
    problem: str,
    facts: dict[str, str],
    parts: Sequence[Part],
    after: Sequence[tuple[str, str]] = (),
) -> View:
    size = sum(part.size for part in parts)
    return View(
        id=record.id,
        by=record.kind,
        role="as",
        problem=problem,
        words=_REASONING,
        parts=parts,
        brief=f"{size:,} characters" if size else "no text but the problem",
        facts=facts,
        facets={"Kind": [record.kind]},
        after=after,
    )


@view_of.register
def _annotated(trace: AnnotatedTrace) -> View:
    length = len(trace.reasoning)
    inside = [(max(0, span.start), min(length, span.end)) for span in trace.spans]
    notes = {place: _note(span) for place, span in zip(inside, trace.spans, strict=True)}
    spans = markup.normalize(inside)
    fault = _fault_of(trace.reasoning, [(span.start, span.end) for span in trace.spans])
    labels = {
        "no span": not spans,
        "a snippet not placed": bool(trace.missed),
        "marks in the response": len(trace.missed) < len(trace.unplaced),
        "a snippet placed loosely": any(span.similarity < 1 for span in trace.spans),
        "broken": bool(fault),
    }
    facts = {"answer": trace.answer, "annotator": trace.annotator, **_marked(spans, length)}
    facts["not placed"] = f"{len(trace.missed):,}"
    lost = [f"{one.snippet}\n({_why_unplaced(one)})" for one in trace.unplaced]
    return View(
        id=trace.id,
        by=trace.annotator,
        role="marked by",
        problem=trace.problem,
        words=_REASONING,
        parts=parts_of(trace.reasoning, [(*span, notes.get(span, "")) for span in spans]),
        brief=_brief(spans, length, f"{len(trace.missed):,} not placed" if trace.missed else "", *_broken(fault)),
        facts={**facts, **_broken(fault)},
        facets={"Kind": [trace.kind], "Annotator": [trace.annotator], LABELS: _true(labels)},
        after=[*_response(trace.response), *([("Snippets not marked in it", "\n\n".join(lost))] if lost else [])],
        share=_share(spans, length),
    )


def _why_unplaced(one: Unplaced) -> str:
    return f"not found, best place {one.similarity:.2f} alike" if one.reason == "not found" else one.reason


@view_of.register
def _example(example: SftExample) -> View:
    return _sft(example, example.prompt, example.completion)


@view_of.register
def _conversation(conversation: SftConversation) -> View:
    messages = conversation.messages
    last = next((at for at in reversed(range(len(messages))) if messages[at].role == "assistant"), None)
    if last is None:
        return _sft(conversation, messages, None)
    return _sft(conversation, messages[:last], messages[last].content, messages[last + 1 :])


def _sft(record: SftRecord, before: Sequence[Message], tagged: str | None, later: Sequence[Message] = ()) -> View:
    """Text whose tags are broken is shown with them, and without a mark."""
    spans: list[markup.Span] = []
    text, fault = tagged or "", "" if tagged is not None else "no message has the role assistant"
    try:
        text, spans = markup.parse(text)
    except markup.MarkupError as error:
        fault = str(error)
    split = str(record.split)
    counted = {} if record.tokens is None else {"tokens": f"{record.tokens:,}"}
    labels = {"no span": not spans, "broken": bool(fault)}
    return View(
        id=record.id,
        by=record.kind,
        role="as",
        problem=_chat(before),
        words=_COMPLETION,
        parts=parts_of(text, [(*span, "") for span in spans]),
        brief=_brief(spans, len(text), split, *_broken(fault)),
        facts={"split": split, **_marked(spans, len(text)), **counted, **_broken(fault)},
        facets={"Kind": [record.kind], "Split": [split], LABELS: _true(labels)},
        after=[("Turns after it", _turns(later))] if later else [],
        share=_share(spans, len(text)),
    )


@view_of.register
def _generation(g: Generation) -> View:
    return generation_view(g, label(g.system, g.offload_budget))


def generation_view(g: Generation, by: str) -> View:
    """The view of a generation, `by` whom is said by whoever knows."""
    known = "authors" not in unknown_in(g), "tokens" not in unknown_in(g), "big_tokens" not in unknown_in(g)
    ends = {"at the token limit": g.finish_reason == "length", "inside a span": g.unclosed > 0}
    verdict = _VERDICTS[g.correct]
    return View(
        id=g.id,
        by=by,
        role="by",
        problem=g.problem,
        words=_BY_TOKENS,
        parts=[Part(one.text, one.author == "big", len(one.token_ids)) for one in g.segments],
        brief=f"{verdict}, {g.tokens:,} tokens" if known[1] else verdict,
        facts={
            "verdict": verdict if not g.ungraded_reason else f"{verdict}: {g.ungraded_reason}",
            "gold answer": g.answer,
            "tokens": _tokens(g, *known[1:]),
            "spans": _spans(g) if known[0] else UNKNOWN_FACT,
            "ended": {"stop": "by itself", "length": "at the token limit"}.get(g.finish_reason, g.finish_reason),
            "seconds": _seconds(g),
        },
        facets={
            "Kind": [g.kind],
            "System": [by],
            "Verdict": [verdict[2:]],
            "Ended": _true(ends),
        },
        sample=g.sample,
        correct=g.correct,
        share=g.big_tokens / g.tokens if g.tokens and all(known) else None,
    )


def _tokens(g: Generation, total: bool, big: bool) -> str:
    if not total:
        return UNKNOWN_FACT
    if not big:
        return f"{g.tokens:,}, by whom is {UNKNOWN_FACT}"
    share = g.big_tokens / g.tokens if g.tokens else 0.0
    return f"{g.tokens:,}: {g.tokens - g.big_tokens:,} small, {g.big_tokens:,} big ({100 * share:.1f} %)"


def _spans(g: Generation) -> str:
    said = [f"{g.spans:,}"]
    said += [f"{g.cut:,} cut by a limit"] if g.cut else []
    said += [f"{g.refused:,} more refused"] if g.refused else []
    said += ["the last one never closed"] if g.unclosed else []
    return ", ".join(said)


def _seconds(g: Generation) -> str:
    return UNKNOWN_FACT if "seconds" in unknown_in(g) else f"{g.seconds:.{2 if g.seconds < 10 else 1}f}"


def _fault_of(text: str, spans: Sequence[markup.Span]) -> str:
    try:
        markup.render(text, spans)
    except markup.MarkupError as error:
        return str(error)
    return ""


def _note(span: HardSpan) -> str:
    return f"score {span.score:.3g}" + (f", {span.similarity:.2f} alike" if span.similarity < 1 else "")


def _broken(fault: str) -> dict[str, str]:
    return {"broken": fault} if fault else {}


def _true(named: Mapping[str, bool]) -> list[str]:
    return [name for name, holds in named.items() if holds]


def _share(spans: Sequence[markup.Span], length: int) -> float | None:
    return markup.covered(spans) / length if length else None


def _marked(spans: Sequence[markup.Span], length: int) -> dict[str, str]:
    return {"spans": f"{len(spans):,}", "marked": _of(spans, length)}


def _brief(spans: Sequence[markup.Span], length: int, *more: str) -> str:
    """What a list says of a text; of `more` what is not empty."""
    counted = f"{len(spans):,} span{'' if len(spans) == 1 else 's'}, {_of(spans, length)}"
    return ", ".join([counted if spans else f"no span in {length:,} characters", *filter(None, more)])


def _of(spans: Sequence[markup.Span], length: int) -> str:
    return f"{_share(spans, length) or 0:.1%} of {length:,} characters"


def _response(response: str) -> list[tuple[str, str]]:
    return [("Response", response)] if response else []


def _chat(messages: Sequence[Message]) -> str:
    """The turns of a chat; one of the user alone stands without its role."""
    return messages[0].content if [message.role for message in messages] == ["user"] else _turns(messages)


def _turns(messages: Sequence[Message]) -> str:
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in messages)
