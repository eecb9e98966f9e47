"""A model's text as what it thought and what it responded."""

from ..records import scaffold
from ..records.data import SchemaError

NO_THINKING = "holds a solution without thinking; --no-thinking takes it as the trace"


def solution_of(text: object, thought: object, where: str, *, unmarked: bool, thinking: bool) -> tuple[str, str]:
    """Reasoning and response of one completion.

    Args:
        text: the completion, with marks around its thinking, or the response alone.
        thought: its thinking, where a field of its own holds that.
        where: what to call the text in errors.
        unmarked: whether a text without marks is known to be thinking.
        thinking: whether there must be thinking; else a solution without any is the reasoning.

    Raises SchemaError where there is none, where it is cut or given twice, and for what is no text.
    """
    parts = _parted(_text(text, where), where)
    if thought is not None and _text(thought, f"the thinking of {where}").strip():
        return _beside(_unwrapped(str(thought)), parts, str(text), where)
    if parts is None and unmarked:
        parts = str(text).strip(), ""
    if parts is not None and parts[0]:
        return parts
    if thinking:
        raise SchemaError(f"{where} {'has empty thinking' if parts else NO_THINKING}")
    solution = parts[1] if parts else str(text).strip()
    if not solution:
        raise SchemaError(f"{where} is empty")
    return solution, ""


def _unwrapped(text: str) -> str:
    """Thinking without marks around all of it, otherwise untouched."""
    bare = text.strip()
    for opening, closing, _ in scaffold.THOUGHTS:
        if (
            bare.startswith(opening)
            and bare.count(opening) == 1
            and bare.find(closing) in (-1, len(bare) - len(closing))
        ):
            return bare.removeprefix(opening).removesuffix(closing).strip()
    return text


def _beside(thought: str, parts: tuple[str, str] | None, text: str, where: str) -> tuple[str, str]:
    """Thinking of a field of its own, and the response, around which the text may repeat the thinking."""
    if parts is None:
        return thought, text.strip()
    if parts[0] not in ("", thought.strip()):
        raise SchemaError(f"{where} holds other thinking than the field beside it")
    return thought, parts[1]


def _parted(text: str, where: str) -> tuple[str, str] | None:
    """Thinking and response by the marks in the text; None where it has none."""
    for opening, closing, _ in scaffold.THOUGHTS:
        if opening not in text and closing not in text:
            continue
        before, opened, _ = text.partition(opening)
        if opened and before.strip() and before.find(closing) < 0:
            raise SchemaError(f"{where} has text before {opening}, which is neither thinking nor response")
        if closing not in text:
            raise SchemaError(f"{where} is cut: its thinking is never closed by {closing}")
        return scaffold.split_thinking(text)
    return None


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise SchemaError(f"{where} is a text, got {'null' if value is None else type(value).__name__}")
    return value
