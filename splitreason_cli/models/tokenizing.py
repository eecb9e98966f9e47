"""What a trainer makes of training records: their token ids, and how many."""

import hashlib
from collections.abc import Sequence

from ..errors import ModelError
from ..records import markup, scaffold
from ..records.data import Message, SftConversation, SftExample, SftRecord
from ..store.digests import file_digest
from .loading import OTHER_TEMPLATE, TOKENIZER_FILES, load_tokenizer, resolve_tokenizer, template_errors
from .protocols import Tokenizer, Turn

AT_ONCE = 64
"""Texts that are tokenized at once: work for every core, in little memory, of which a token takes some 100 bytes."""
_ASKED = "What is 1 + 1, asked to see the template?"


def tokenizer_digest(reference: str) -> str:
    """A digest of the tokenizer's files. Weights beside them are not read."""
    path = resolve_tokenizer(reference)
    digest = hashlib.sha256()
    for file in sorted({file for pattern in TOKENIZER_FILES for file in path.rglob(pattern) if file.is_file()}):
        relative = file.relative_to(path)
        if not any(part.startswith(".") for part in relative.parts):
            digest.update(f"{relative.as_posix()}\0{file_digest(file)}\n".encode())
    return digest.hexdigest()


def load_tagging_tokenizer(reference: str) -> Tokenizer:
    """The tokenizer with both hand-over tags as single tokens, as training has them. Raises ModelError."""
    tokenizer = load_tokenizer(reference)
    add_tags(tokenizer)
    return tokenizer


def add_tags(tokenizer: Tokenizer) -> list[str]:
    """Make both hand-over tags single tokens; returns those that were not yet."""
    new = [tag for tag in (markup.OPEN, markup.CLOSE) if tag not in tokenizer.get_vocab()]
    if new:
        tokenizer.add_tokens(new, special_tokens=True)
    return new


def end_of_text(tokenizer: Tokenizer) -> int:
    """The token that ends a text. Raises ModelError if the tokenizer has none."""
    if tokenizer.eos_token_id is None:
        raise ModelError("the tokenizer has no end of text", "Give its tokenizer_config.json an eos_token")
    return tokenizer.eos_token_id


def example_ids(tokenizer: Tokenizer, example: SftExample) -> tuple[list[int], list[int]]:
    """Token ids of prompt and completion with the seam where decoding has it, without end-of-text.

    Tokenizing both at once could merge across the seam, or add a second beginning-of-text.
    """
    with template_errors(tokenizer):
        prompt = tokenizer.apply_chat_template(_turns(example.prompt), add_generation_prompt=True, return_dict=False)
    return list(prompt), list(tokenizer(example.completion, add_special_tokens=False)["input_ids"])


def count_tokens(tokenizer: Tokenizer, records: Sequence[SftRecord]) -> list[int]:
    """The lengths in tokens: prompt and completion without end-of-text, or all that the template makes of a chat."""
    texts = [_texts(tokenizer, record) for record in records]
    lengths = iter(_lengths(tokenizer, [text for parts in texts for text in parts]))
    return [sum(next(lengths) for _ in parts) for parts in texts]


def _texts(tokenizer: Tokenizer, record: SftRecord) -> list[str]:
    """The texts that are tokenized one by one, as in `example_ids`."""
    if isinstance(record, SftConversation):
        return [conversation_text(tokenizer, record.messages)]
    return [prompt_text(tokenizer, record.prompt), record.completion]


def _lengths(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    if not tokenizer.is_fast:
        return [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    # Takes back what a tokenizer's file says of truncation and padding, as for every call.
    tokenizer("", add_special_tokens=False)
    # What lies below keeps no offsets and makes no lists, which takes as long as the tokens themselves.
    encode = tokenizer.backend_tokenizer.encode_batch_fast
    chunks = (texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE))
    return [len(encoded) for chunk in chunks for encoded in encode(chunk, add_special_tokens=False)]


def conversation_text(tokenizer: Tokenizer, messages: tuple[Message, ...]) -> str:
    """A chat as its template renders it, with the whole of the assistant's last turn.

    Some templates take the thinking out of the assistant's turns, which is right for a chat that goes on and wrong for
    training; the turn then follows the generation prompt.
    """
    turns, turn = _turns(messages), messages[-1].content
    with template_errors(tokenizer):
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    if turn.strip() in text:
        return text
    prompt = prompt_text(tokenizer, messages[:-1])
    for opened in (f"{markup.THINK_OPEN}\n", markup.THINK_OPEN):
        if prompt.endswith(opened):
            turn = turn.removeprefix(opened)
    return prompt + turn + (tokenizer.eos_token or "")


def prompt_text(tokenizer: Tokenizer, messages: tuple[Message, ...]) -> str:
    """What the template makes of a chat up to where the model's own text begins. Raises ModelError."""
    with template_errors(tokenizer):
        return str(tokenizer.apply_chat_template(_turns(messages), tokenize=False, add_generation_prompt=True))


def why_unteachable(tokenizer: Tokenizer, record: SftRecord) -> str | None:
    """What is wrong with the marks of the thinking where the template and a training record meet, or None.

    Raises ModelError if the template fails, or leaves out what the user says.
    """
    asked = record.prompt if isinstance(record, SftExample) else record.messages[:-1]
    # Only what the template writes matters, and a problem's own text might occur in it.
    asked = (*asked[:-1], Message(role="user", content=_ASKED))
    opening = _behind_question(tokenizer, prompt_text(tokenizer, asked))
    if isinstance(record, SftExample):
        return scaffold.why_mismatched(opening, opening + record.completion)
    text = conversation_text(tokenizer, (*asked, record.messages[-1]))
    return scaffold.why_mismatched(opening, _behind_question(tokenizer, text))


def _behind_question(tokenizer: Tokenizer, text: str) -> str:
    _, found, behind = text.partition(_ASKED)
    if not found:
        raise ModelError(f"{tokenizer.name_or_path}: the chat template leaves out the user's message", OTHER_TEMPLATE)
    return behind


def _turns(messages: tuple[Message, ...]) -> list[Turn]:
    return [{"role": message.role, "content": message.content} for message in messages]
