"""What a chat model's answer is worth: its snippets, where they stand, and what is wrong with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...models.answers import ReadAnswer
from ...records.data import AnnotatedTrace
from .. import snippets
from ..snippets import ParsedReply

MOST_SNIPPETS = 256
"""Of a reply that lists more, the first ones are placed: what ranks behind them is beyond any fraction."""

LOST = ("not found", "too many")
"""Why snippets of a reply are not in the trace."""

_MORE_TOKENS = "Raise --max-completion-tokens"


@dataclass(frozen=True)
class ReadReply:
    """One answer, read.

    Args:
        snippets: hardest first.
        placed: the trace with their spans.
        found: how many are in the trace and left a span; 0 if no span is left at all.
        complaint: why the answer is of no or little use; empty if it is good.
        is_filtered: whether a content filter cut it, as it will again.
        is_hopeless: whether asking again as before would cost much and give the same.
    """

    snippets: tuple[str, ...]
    placed: AnnotatedTrace
    found: int
    complaint: str = ""
    is_filtered: bool = False
    is_hopeless: bool = False


def judge(answer: ReadAnswer, place: Callable[[Sequence[str]], AnnotatedTrace]) -> ReadReply:
    """Read an answer; `place` finds snippets in the trace."""
    parsed = _parsed(answer)
    placed = place(parsed.snippets)
    found = len(parsed.snippets) - _lost(placed) if placed.spans else 0
    is_cut = answer.finish_reason == "length" or not parsed.complete
    if found and 2 * found >= len(parsed.snippets) and not is_cut and not _is_overlong(placed, found):
        return ReadReply(parsed.snippets, placed, found)
    is_hopeless = answer.finish_reason == "length" and not parsed.snippets
    complaint = _cut(answer, parsed) if is_cut else _complaint(answer, parsed, placed)
    is_filtered = answer.finish_reason == "content_filter"
    if is_filtered:
        complaint = "the content filter cut the reply off (finish_reason content_filter)"
    return ReadReply(parsed.snippets, placed, found, complaint, is_filtered, is_hopeless)


def _parsed(answer: ReadAnswer) -> ParsedReply:
    """The snippets of an answer: in its text, or where servers put it that take a text for something else."""
    parsed = snippets.parse(answer.text)
    if parsed.snippets or answer.finish_reason == "length":
        return replace(parsed, snippets=parsed.snippets[:MOST_SNIPPETS])
    # Thinking may repeat the form that was asked for before it comes to the answer.
    thinking = answer.thinking[max(answer.thinking.rfind('{"snippets"'), 0) :]
    others = (snippets.parse(text) for text in (answer.arguments, answer.elsewhere, thinking))
    found = next((other for other in others if other.snippets), parsed)
    return replace(found, snippets=found.snippets[:MOST_SNIPPETS])


def _cut(answer: ReadAnswer, parsed: ParsedReply) -> str:
    if answer.finish_reason != "length":
        return "the reply breaks off"
    if parsed.snippets:
        return f"the reply breaks off (finish_reason length). {_MORE_TOKENS}"
    tokens = f" {answer.tokens[1]:,}" if answer.tokens[1] else ""
    if answer.thinking or answer.text.lstrip().startswith("<think"):
        return f"the thinking used up all{tokens} completion tokens (finish_reason length). {_MORE_TOKENS}"
    return f"the reply ends before its first snippet (finish_reason length). {_MORE_TOKENS}"


def _complaint(answer: ReadAnswer, parsed: ParsedReply, placed: AnnotatedTrace) -> str:
    if not parsed.snippets:
        said = {
            "the reply holds no snippets": answer.text,
            "the server broke off": answer.error,
            "the model refused": answer.refusal,
            "the reply is a tool call without snippets": answer.arguments,
            "the reply is empty, only its thinking is not, and holds no snippets": answer.thinking,
        }
        what = next((what for what, text in said.items() if text.strip()), "the reply holds no snippets")
        return f"{what}: {' '.join(said[what].split())[:80]!r}"
    given, lost = len(parsed.snippets), _lost(placed)
    if lost < given and (not placed.spans or _is_overlong(placed, given - lost)):
        return f"the snippets in the reply are longer than --fraction allows, of {given} none is left whole"
    return f"{lost} of {given} snippets in the reply are not in the trace"


def _lost(placed: AnnotatedTrace) -> int:
    return sum(one.reason in LOST for one in placed.unplaced)


def _is_overlong(placed: AnnotatedTrace, found: int) -> bool:
    """Whether no snippet is left whole, and more was cut off than is marked: such a reply points at nothing."""
    cut = [len(one.snippet) for one in placed.unplaced if one.reason == "over the fraction"]
    repeated = sum(one.reason == "repeated" for one in placed.unplaced)
    return len(cut) >= found - repeated and sum(cut) > sum(span.end - span.start for span in placed.spans)
