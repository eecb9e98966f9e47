"""From an annotated trace to a training record, as prompt and completion or as a conversation."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ..errors import UsageError
from ..layouts.reading import DEFAULT, Reading
from ..records import markup
from ..records.data import AnnotatedTrace, Message, SftConversation, SftExample, SftRecord
from ..records.lessons import why_wrong_lesson
from ..records.prompts import completion, user_message

Split = Literal["train", "test"]


class Format(StrEnum):
    """The two layouts that trainers read."""

    PROMPT_COMPLETION = "prompt-completion"
    MESSAGES = "messages"


KIND_OF = {Format.PROMPT_COMPLETION: SftExample.kind, Format.MESSAGES: SftConversation.kind}


@dataclass(frozen=True)
class BuildSftConfig:
    """What goes into a training set, and how it is written.

    `hint` adds the tag sentence to the prompt, `instruction` a sentence before it. `think` opens the thinking in the
    completion; conversations always do. `test_fraction` of the problems (not of the traces) go to the test split.
    `tokenizer` counts tokens, and examples of more than `max_tokens` are dropped. `dedup` keeps one trace of each
    problem. `decontaminate` names files of benchmark problems; traces whose problem shares `ngram` consecutive words
    with one of them are dropped. `reading` says which traces a row holds that is marked by tags.

    Raises UsageError for a limit in tokens without a tokenizer to count them.
    """

    format: Format = Format.PROMPT_COMPLETION
    hint: bool = True
    think: bool = False
    instruction: str = ""
    test_fraction: float = 0.05
    tokenizer: str | None = None
    max_tokens: int | None = None
    dedup: bool = True
    decontaminate: tuple[str, ...] = ()
    ngram: int = 8
    reading: Reading = DEFAULT

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.tokenizer is None:
            hint = "Add --tokenizer, such as that of the model to train"
            raise UsageError("--max-tokens needs a tokenizer to count with", hint)


def build(trace: AnnotatedTrace, config: BuildSftConfig, split: Split) -> SftRecord:
    """The training record of one trace. Raises MarkupError if its spans do not fit its text."""
    tagged = markup.render(trace.reasoning, _spans(trace))
    as_messages = config.format == Format.MESSAGES
    completed = completion(tagged, trace.answer, trace.response, think=config.think or as_messages)
    user = Message(role="user", content=user_message(trace.problem, hint=config.hint, instruction=config.instruction))
    digest = reasoning_sha256(trace.reasoning)
    if as_messages:
        return SftConversation(
            id=trace.id,
            split=split,
            messages=(user, Message(role="assistant", content=completed)),
            reasoning_sha256=digest,
            extra=trace.extra,
        )
    return SftExample(
        id=trace.id, split=split, prompt=(user,), completion=completed, reasoning_sha256=digest, extra=trace.extra
    )


def why_malformed(trace: AnnotatedTrace) -> str | None:
    """What keeps a trace from becoming a training record, or None."""
    if reason := why_wrong_lesson(trace):
        return reason
    try:
        markup.render(trace.reasoning, _spans(trace))
    except markup.MarkupError as error:
        return f"{error}. Annotate the trace again"
    return None


def split_of(problem: str, test_fraction: float) -> Split:
    """The split of a problem. It depends on the problem's text alone, so a growing data set keeps its splits."""
    digest = hashlib.sha256(problem.encode("utf-8", "surrogatepass")).digest()
    return "test" if int.from_bytes(digest[:8]) / 2**64 < test_fraction else "train"


def reasoning_sha256(reasoning: str) -> str:
    """SHA-256 of untagged reasoning, as 64 hexadecimal digits."""
    return hashlib.sha256(reasoning.encode("utf-8", "surrogatepass")).hexdigest()


def _spans(trace: AnnotatedTrace) -> list[markup.Span]:
    return [(span.start, span.end) for span in trace.spans]
