"""Rows that lm-evaluation-harness and lighteval log."""

import ast
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import orjson

from ..layouts.columns import row_id
from ..records.data import SchemaError
from .log_cells import last_said, thought_through, without_prompt
from .log_columns import LABELS
from .log_labels import label_in, labels_of, metric_in
from .log_plain import question_in
from .log_samples import Completion, LoggedSamples


def from_lm_eval(row: Mapping[str, object]) -> LoggedSamples:
    doc, prompt = _object(row, "doc"), _first_argument(row.get("arguments"))
    given = [text for one in _list(row, "resps") for text in (one if isinstance(one, list) else [one])]
    texts = _checked_texts(given, "resps")
    gold = doc.get("answer")
    known = isinstance(gold, str | int | float) and not isinstance(gold, bool)
    names = [name for name in _list(row, "metrics") if isinstance(name, str)]
    label = label_in(row, [*names, *LABELS])
    # Unless a filter keeps all repeats, it scores the first.
    first_only = isinstance(_first(row.get("filtered_resps")), str)
    labels = labels_of(label[1] if label else None, len(texts), 1 if first_only else None)
    return LoggedSamples(
        "lm_eval",
        tuple(Completion(without_prompt(t, prompt), label=one) for t, one in zip(texts, labels, strict=True)),
        row_id(doc),
        question_in(doc)[1] or last_said(prompt),
        ("doc.answer", gold) if known else ("target", row.get("target")),
        orjson.dumps([row.get("doc_hash"), row.get("doc_id"), row.get("prompt_hash"), texts]).decode(),
        str(row.get("filter")),
        columns={"label": label[0] if row.get("filter") is None else f"{label[0]} of {row['filter']}"} if label else {},
    )


def from_lighteval(row: Mapping[str, object]) -> LoggedSamples:
    doc, response = _object(row, "doc"), _object(row, "model_response")
    texts = _checked_texts(_list(response, "text"), "model_response.text")
    specific = doc.get("specific")
    thoughts, counts = (_list(response, name)[: len(texts)] for name in ("reasonings", "output_tokens"))
    metric, limit = metric_in(_object(row, "metric")), doc.get("generation_size")
    labels = labels_of(metric[1] if metric else None, len(texts))
    completions = [
        # It writes an empty text for a request that failed, and calls that wrong.
        Completion(
            thought_through(without_prompt(text, response.get("input")), thought) or None,
            _end_of(count, limit),
            count,
            label=label,
        )
        for text, thought, count, label in zip_longest(texts, thoughts, map(_length, counts), labels)
    ]
    golds = _golds(doc)
    return LoggedSamples(
        "lighteval",
        tuple(completions),
        row_id(specific) if isinstance(specific, dict) else None,
        question_in(doc)[1],
        ("doc.choices", golds[0] if len(golds) == 1 else golds),
        columns={"label": f"metric.{metric[0]}"} if metric else {},
    )


def from_old_lighteval(row: Mapping[str, object]) -> LoggedSamples:
    """Before 0.11. Its `truncated` counts the prompt's tokens, not the completion's."""
    texts = _checked_texts(_as_list(row["predictions"]), "predictions")
    prompt, metric = row.get("full_prompt"), metric_in(_object(row, "metrics"))
    labels = labels_of(metric[1] if metric else None, len(texts))
    counts = _list(row, "cont_tokens")
    tokens = [_length(one) for one in counts] if len(counts) == len(texts) else [None] * len(texts)
    golds = _as_list(row.get("gold"))
    return LoggedSamples(
        "lighteval_old",
        tuple(
            Completion(without_prompt(text, prompt) or None, tokens=count, label=label)
            for text, count, label in zip(texts, tokens, labels, strict=True)
        ),
        row_id(specifics) if isinstance(specifics := row.get("specifics"), dict) else None,
        last_said(prompt) if isinstance(prompt, str) else question_in({"question": row.get("example")})[1],
        ("gold", golds[0] if len(golds) == 1 else golds),
        columns={"label": f"metrics.{metric[0]}"} if metric else {},
    )


def _checked_texts(values: Sequence[object], where: str) -> list[str | None]:
    if not values:
        raise SchemaError(f"field '{where}' holds no completion")
    texts: list[str | None] = []
    for value in values:
        if value is not None and not isinstance(value, str):
            raise SchemaError(f"field '{where}': a completion is a text, got {type(value).__name__}")
        texts.append(value)
    return texts


def _first_argument(arguments: object) -> str | None:
    """The prompt of lm_eval's first request: `{"gen_args_0": {"arg_0": prompt}}`, chats as a list of one text.

    Before 0.4.3 a request was a list of its arguments.
    """
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else _first(arguments)
    prompt = first.get("arg_0") if isinstance(first, dict) else _first(first)
    prompt = _first(prompt) if isinstance(prompt, list) else prompt
    return prompt if isinstance(prompt, str) else None


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


def _end_of(tokens: int | None, limit: object) -> str | None:
    """How a completion of so many tokens ended; None where their number or the limit is not known."""
    if tokens is None or not isinstance(limit, int):
        return None
    return "length" if tokens >= limit else "stop"


def _as_list(value: object) -> list[object]:
    """A list that may have been saved as its Python text."""
    if isinstance(value, str) and value.startswith("["):
        try:
            saved = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return [value]
        if isinstance(saved, list) and all(isinstance(one, str) for one in saved):
            return [*saved]
    return value if isinstance(value, list) else [value]


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None
