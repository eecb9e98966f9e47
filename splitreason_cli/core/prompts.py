"""What the models are asked, and the scaffold of what they answer."""

from . import markup


def user_message(problem: str, *, hint: bool) -> str:
    """The user's turn; `hint` adds the sentence about the tags, which only the small model may see."""
    return f"{problem}\n{markup.HINT}" if hint else problem


def completion(reasoning: str, answer: str) -> str:
    r"""A finished completion: the reasoning, the end of thinking, the boxed answer.

    The chat template has opened the thinking already, so the completion does not.
    """
    return f"{reasoning}\n{markup.THINK_CLOSE}\n\n\\boxed{{{answer}}}"
