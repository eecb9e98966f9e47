"""Logs of other evaluation programs: which completions of which problem a row holds.

generation  records of `srx bench --generations`
lm_eval     lm-evaluation-harness, `--log_samples`: `doc`, `target`, `resps`; a row for each filter
lighteval   its details: `doc`, `model_response`
plain       `problem`, `answer`, and `completion`, `response` or `generation`, or a list in `completions`, ...
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import orjson

from ..records.data import BenchComparison, BenchResult, Generation, SchemaError, json_object
from ..records.markup import THINK_CLOSE
from ..tasks.problems import row_id

Layout = Literal["generation", "lm_eval", "lighteval", "plain"]

_COMPLETIONS = ("completion", "response", "generation", "completions", "responses", "generations")
_QUESTIONS = ("problem", "question", "Problem", "query")
_REASONINGS = ("reasoning_content", "reasoning")


@dataclass(frozen=True)
class Completion:
    """One completion of a log, without its prompt. What the log does not say is None.

    `text` is None where the log holds none, which is no answer and not a wrong one.
    """

    text: str | None
    finish_reason: str | None = None
    tokens: int | None = None
    big_tokens: int | None = None


@dataclass(frozen=True)
class LoggedSamples:
    """The completions of one problem in a row. What the row does not say is None.

    `question` is the problem, maybe with a template around it, `gold` the right answer behind its field's name. `key`
    and `filter` are those of a row that lm_eval repeats for each of its filters.
    """

    layout: Layout
    completions: tuple[Completion, ...]
    id: str | None = None
    question: str | None = None
    gold: tuple[str, object] | None = None
    key: str | None = None
    filter: str | None = None


def layout_of(row: object) -> Layout:
    """Which program wrote a row. Raises SchemaError."""
    row = json_object(row)
    if row.get("kind") == Generation.kind:
        return "generation"
    if row.get("kind") in (BenchResult.kind, BenchComparison.kind):
        raise SchemaError(f"a {row['kind']} holds no completions; give the file of --generations")
    if isinstance(row.get("doc"), dict):
        if isinstance(row.get("model_response"), dict):
            return "lighteval"
        if isinstance(row.get("resps"), list):
            return "lm_eval"
    if any(name in row for name in _COMPLETIONS):
        return "plain"
    raise SchemaError(
        f"no known log has the fields {', '.join(map(str, row)) or '(none)'}. Known: generation records; lm_eval's doc "
        "and resps; lighteval's doc and model_response; problem, answer and completion, response or generation(s)"
    )


def completion_of(generation: Generation) -> str | None:
    """The text to grade, without the prompt; None where there is none because the request failed."""
    if generation.finish_reason == "error" and not generation.segments:
        return None
    return "".join(segment.text for segment in generation.segments)


def samples_of(row: object) -> LoggedSamples:
    """The completions in a row of any layout but `generation`. Raises SchemaError."""
    row = json_object(row)
    match layout_of(row):
        case "lm_eval":
            return _from_lm_eval(row)
        case "lighteval":
            return _from_lighteval(row)
    return _from_plain(row)


def _from_lm_eval(row: Mapping[str, object]) -> LoggedSamples:
    doc, prompt = _object(row, "doc"), _first_argument(row.get("arguments"))
    given = [text for one in _list(row, "resps") for text in (one if isinstance(one, list) else [one])]
    texts = _checked_texts(given, "resps")
    return LoggedSamples(
        "lm_eval",
        tuple(Completion(_without_prompt(text, prompt)) for text in texts),
        row_id(doc),
        _question(doc) or _last_turn(prompt),
        ("doc.answer", doc["answer"]) if isinstance(doc.get("answer"), str | int) else ("target", row.get("target")),
        orjson.dumps([row.get("doc_hash"), row.get("doc_id"), row.get("prompt_hash"), texts]).decode(),
        str(row.get("filter")),
    )


def _from_lighteval(row: Mapping[str, object]) -> LoggedSamples:
    doc, response = _object(row, "doc"), _object(row, "model_response")
    texts = _checked_texts(_list(response, "text"), "model_response.text")
    specific = doc.get("specific")
    thoughts, counts = (_list(response, name)[: len(texts)] for name in ("reasonings", "output_tokens"))
    completions = [
        # It writes an empty text for a request that failed, and calls that wrong.
        Completion(_thought_through(_without_prompt(text, response.get("input")), thought) or None, tokens=count)
        for text, thought, count in zip_longest(texts, thoughts, map(_length, counts))
    ]
    golds = _golds(doc)
    return LoggedSamples(
        "lighteval",
        tuple(completions),
        row_id(specific) if isinstance(specific, dict) else None,
        _question(doc),
        ("doc.choices", golds[0] if len(golds) == 1 else golds),
    )


def _from_plain(row: Mapping[str, object]) -> LoggedSamples:
    column = next(name for name in _COMPLETIONS if name in row)
    value = row[column]
    texts = _checked_texts(value if isinstance(value, list) else [value], column)
    thoughts = [row[name] for name in _REASONINGS if isinstance(row.get(name), str)] if len(texts) == 1 else []
    reasons = row.get("finish_reasons", row.get("finish_reason"))
    reasons = reasons if isinstance(reasons, list) else [reasons] * len(texts)
    usage = _usage(row) if len(texts) == 1 else (None, None)
    return LoggedSamples(
        "plain",
        tuple(
            Completion(
                _thought_through(_without_prompt(text, row.get("prompt")), *thoughts[:1]),
                reason if isinstance(reason, str) else None,
                *usage,
            )
            for text, reason in zip_longest(texts, reasons[: len(texts)])
        ),
        row_id(row),
        _question(row),
        ("answer", row["answer"]) if "answer" in row else None,
    )


def _usage(row: Mapping[str, object]) -> tuple[int | None, int | None]:
    """Tokens of the completion and of them the big model's, in our names, OpenAI's, or those of `srx serve`."""
    usage = row.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    split = usage.get("split")
    tokens = [usage.get("completion_tokens"), row.get("completion_tokens"), row.get("tokens")]
    big_tokens = [split.get("big_tokens") if isinstance(split, dict) else None, row.get("big_tokens")]
    return _first_count(tokens), _first_count(big_tokens)


def _first_count(values: Sequence[object]) -> int | None:
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def _checked_texts(values: Sequence[object], where: str) -> list[str | None]:
    if not values:
        raise SchemaError(f"field '{where}' holds no completion")
    texts: list[str | None] = []
    for value in values:
        if value is not None and not isinstance(value, str):
            raise SchemaError(f"field '{where}': a completion is a text, got {type(value).__name__}")
        texts.append(value)
    return texts


def _thought_through(text: str | None, thought: object = None) -> str | None:
    """The response behind the thinking that a server returned apart from it; unfinished thinking is left open."""
    if not isinstance(thought, str) or not thought:
        return text
    return f"{thought}\n{THINK_CLOSE}\n\n{text}" if text else thought


def _without_prompt(text: str | None, prompt: object) -> str | None:
    return text.removeprefix(prompt) if text and isinstance(prompt, str) else text


def _question(row: Mapping[str, object]) -> str | None:
    return next((text for name in _QUESTIONS if isinstance(text := row.get(name), str)), None)


def _first_argument(arguments: object) -> str | None:
    """The prompt of lm_eval's first request: `{"gen_args_0": {"arg_0": prompt}}`, chats as a list of one text."""
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    prompt = first.get("arg_0") if isinstance(first, dict) else None
    prompt = prompt[0] if isinstance(prompt, list) and prompt else prompt
    return prompt if isinstance(prompt, str) else None


def _last_turn(prompt: str | None) -> str | None:
    """The last message of a chat in JSON, or the prompt itself."""
    try:
        turns = orjson.loads(prompt or "")
        return str(turns[-1]["content"])
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return prompt


def _list(row: Mapping[str, object], name: str) -> list[object]:
    value = row.get(name)
    return value if isinstance(value, list) else []


def _object(row: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _length(ids: object) -> int | None:
    """How many tokens a completion has; None without any, as of a log that keeps none."""
    return len(ids) or None if isinstance(ids, list) else None


def _golds(doc: Mapping[str, object]) -> list[object]:
    index, choices = doc.get("gold_index"), _list(doc, "choices")
    indices = index if isinstance(index, list) else [index]
    return [choices[one] for one in indices if isinstance(one, int) and 0 <= one < len(choices)]
