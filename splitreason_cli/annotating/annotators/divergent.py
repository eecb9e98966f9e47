"""Labels of tokens as annotator: the lines in which a token was found to matter, such as R2R's divergent ones."""

from collections.abc import Iterator

from ...errors import UsageError
from ...layouts.marked import marked_trace
from ...layouts.reading import Reading, Refusal, RowRead, Understood
from ...layouts.table import ANY
from ...layouts.traces import read_traces
from ...models.loading import load_plain_tokenizer
from ...models.tokenizing import tokenizer_digest
from ...models.vocabulary import spellings
from ...records.data import SchemaError, Trace, json_object
from ...records.scaffold import THOUGHT_MARKS
from ...store.jsonl import Line
from ..config import AnnotateConfig
from ..token_labels import LABELS, OF_TOKENS, TOKENS, TRACE, Spell, gathered, labelled_text
from .base import Annotator, Job
from .given import GivenAnnotator, with_spans

NAME = "divergent"
_ADVICE = "Add --tokenizer with the model whose tokens they are, such as deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"


class DivergentAnnotator(GivenAnnotator):
    """Reads rows of labelled tokens, one or a trace a row, and marks the lines with a label. Raises ModelError."""

    summary = "labels of tokens in the columns of R2R, widened to lines"
    libraries = ("tokenizers", "transformers")
    flags = ("--tokenizer",)

    def __init__(self, tokenizer: str) -> None:
        self._spell = spell_by(tokenizer) if tokenizer else spell_as_text

    @classmethod
    def inputs(cls, config: AnnotateConfig) -> dict[str, str]:
        return {"tokenizer": tokenizer_digest(config.tokenizer)} if config.tokenizer else {}

    @classmethod
    def make(cls, job: Job) -> Annotator:
        return cls(job.config.tokenizer)

    def lines(self, lines: Iterator[Line]) -> Iterator[Line]:
        return gathered(lines)

    def read(self, row: object, reading: Reading) -> RowRead[list[Trace | Refusal]]:
        row = json_object(row)
        if missing := [name for name in (TOKENS, LABELS) if name not in row]:
            raise SchemaError(f"no column '{missing[0]}' with tokens and their labels; the row has {', '.join(row)}")
        found = labelled_text(row, self._spell)
        plain = {name: value for name, value in row.items() if name not in OF_TOKENS}
        plain |= {"reasoning": found.thinking.reasoning, "response": found.thinking.response}
        plain |= {"id": row[TRACE]} if TRACE in row else {}
        asked = not any(row.get(name) for name in ANY.columns["problem"]) and found.prompt
        read = read_traces({"problem": found.prompt, **plain} if asked else plain, reading)
        known = dict(read.understood.columns) | {"reasoning": TOKENS} | ({"problem": TOKENS} if asked else {})
        remarks = ("a label belongs to the token after it",) if found.ahead else ()
        columns = tuple((role, column) for role, column in known.items() if column != "response")
        traces = [with_spans(marked_trace(one, found.thinking, NAME)) for one in read.value if isinstance(one, Trace)]
        return RowRead([*traces], Understood(NAME, (*columns, ("spans", LABELS)), remarks))


def spell_by(tokenizer: str) -> Spell:
    """The bytes of ids and of entries of a vocabulary. Raises ModelError."""
    loaded = load_plain_tokenizer(tokenizer)
    spelled, ids = spellings(tokenizer, loaded), loaded.get_vocab()
    # Some tokenizers hold the marks of thinking for control tokens.
    special = {one for one in loaded.all_special_ids if spelled.get(one, b"").decode() not in THOUGHT_MARKS}

    def spell(token: object) -> bytes | None:
        known = ids.get(token) if isinstance(token, str) else token
        if not isinstance(known, int) or known not in spelled:
            raise SchemaError(f"{tokenizer} has no token {token!r}; is it the tokenizer of field '{TOKENS}'?")
        return None if known in special else spelled[known]

    return spell


def spell_as_text(token: object) -> bytes:
    """The bytes of a token that is its text. Raises UsageError for an id, and an entry of a vocabulary."""
    if not isinstance(token, str):
        raise UsageError(f"field '{TOKENS}' holds token ids", _ADVICE)
    if any(mark in token for mark in ("Ġ", "Ċ", "▁")):
        raise UsageError(f"field '{TOKENS}' holds entries of a vocabulary, such as {token!r}", _ADVICE)
    return token.encode("utf-8", "surrogatepass")
