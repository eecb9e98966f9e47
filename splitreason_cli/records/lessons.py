"""What a trace would teach wrongly, whatever is made of it."""

from . import markup, scaffold
from .data import AnnotatedTrace, Trace


def why_wrong_lesson(trace: Trace | AnnotatedTrace) -> str | None:
    """The mark or the cut that would be taught along with a trace, or None."""
    if mark := scaffold.find_turn(trace.problem):
        return f"field 'problem' contains {mark}, so that it is a whole prompt. Give what the user said alone"
    for name, text in (("reasoning", trace.reasoning), ("response", trace.response), ("answer", trace.answer)):
        if mark := scaffold.find_mark(text, thinking=name == "reasoning"):
            return f"field '{name}' contains {mark}. Give what stands between the marks of the thinking, or behind them"
        if name != "reasoning" and (tag := markup.contains_tag(text)):
            return f"field '{name}' contains the tag {tag}. Give the plain text"
    if reason := scaffold.why_cut(trace.reasoning, trace.response, trace.extra):
        return f"the generation was cut: {reason}. Give whole ones"
    return None


def why_unanswered(answer: str, response: str) -> str | None:
    r"""What keeps anything but an empty box from standing after the thinking, or None."""
    if not response.strip():
        empty = not answer.strip() or scaffold.ends_in_empty_box(answer)
        return "there is neither an answer nor a response" if empty else None
    return r"the response ends in an empty \boxed{}" if scaffold.ends_in_empty_box(response) else None
