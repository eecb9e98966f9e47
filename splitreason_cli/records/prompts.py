"""What the models are asked, and the scaffold of what they answer."""

from . import markup


def user_message(problem: str, *, hint: bool, instruction: str = "") -> str:
    """The user's turn: the problem, an instruction, and with `hint` the sentence about the tags.

    Only the small model may see that sentence.
    """
    return "\n".join([problem, *([instruction] if instruction else []), *([markup.HINT] if hint else [])])


def completion(reasoning: str, answer: str, response: str = "", *, think: bool = False) -> str:
    r"""A finished completion: the reasoning, the end of thinking, then `response`, or the boxed answer without one.

    Chat templates usually open the thinking in the prompt; `think` opens it here, for those that do not.
    """
    opened = f"{markup.THINK_OPEN}\n" if think else ""
    # Recorded responses often keep the two line breaks that the scaffold brings along.
    closing = response.lstrip("\n") if response.strip() else f"\\boxed{{{answer}}}"
    return f"{opened}{reasoning}\n{markup.THINK_CLOSE}\n\n{closing}"


def thinking(completed: str) -> tuple[str, str] | None:
    """The reasoning of a `completion` and what follows the end of thinking; None if the thinking never ends."""
    before, end, after = completed.partition(markup.THINK_CLOSE)
    if not end:
        return None
    return before.removeprefix(f"{markup.THINK_OPEN}\n").removesuffix("\n"), after
