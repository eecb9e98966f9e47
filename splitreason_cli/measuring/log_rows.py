"""Logs of other evaluation programs: which completions of which problem a row holds.

generation  records of `srx bench --generations`
lm_eval     lm-evaluation-harness, `--log_samples`: `doc`, `target`, `resps`; a row for each filter
lighteval   its details: `doc`, `model_response`; before 0.11 `full_prompt`, `predictions`, `gold`
batch       replies of OpenAI's batch API and of `vllm run-batch`: `custom_id`, `response`
plain       a problem, an answer, and completions in columns of many names (see `log_columns`), or a chat
"""

from collections.abc import Mapping

from ..records.data import BenchComparison, BenchResult, Generation, SchemaError, json_object
from .log_harnesses import from_lighteval, from_lm_eval, from_old_lighteval
from .log_plain import from_batch, from_plain, holds_completions, question_in
from .log_samples import Completion, Layout, LoggedSamples

__all__ = ["LABEL", "Completion", "Layout", "LoggedSamples", "completion_of", "layout_of", "samples_of"]

LABEL = "log_label"
"""The field of an imported generation with what its log says of it: 1 right, 0 wrong, else the mean of its row."""


def layout_of(row: object) -> Layout:
    """Which program wrote a row. Raises SchemaError."""
    if isinstance(row, list):
        raise SchemaError(f"a row is a JSON object, got a list{_taken_out('.')}")
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
    if "predictions" in row and "full_prompt" in row:
        return "lighteval_old"
    if "custom_id" in row and ("response" in row or "error" in row):
        return "batch"
    if holds_completions(row):
        return "plain"
    raise SchemaError(
        f"no known log has the fields {', '.join(map(str, row)) or '(none)'}. Known: generation records; lm_eval's doc "
        "and resps; lighteval's doc and model_response; custom_id and response of a batch; problem, answer and "
        f"completion, response, generation(s), output or messages{_inside(row)}"
    )


def _inside(row: Mapping[str, object]) -> str:
    """How to take the rows out of a document that holds them all."""
    if question_in(row)[1] is None and (path := _path_to_rows(row)):
        return _taken_out(path)
    return ""


def _taken_out(path: str) -> str:
    return f"; of a whole document take the rows out: jq -c '{path}[]'"


def _path_to_rows(value: object, depth: int = 4) -> str:
    """Where the first list of objects in a document is, as jq calls it; empty without any."""
    for name, inner in value.items() if isinstance(value, dict) and depth else ():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            return f".{name}" if str(name).isidentifier() else f'."{name}"'
        if below := _path_to_rows(inner, depth - 1):
            return (f".{name}" if str(name).isidentifier() else f'."{name}"') + below
    return ""


def completion_of(generation: Generation) -> str | None:
    """The text to grade, without the prompt; None where there is none because the request failed."""
    if generation.finish_reason == "error" and not generation.segments:
        return None
    return "".join(segment.text for segment in generation.segments)


def samples_of(row: object) -> LoggedSamples:
    """The completions in a row of any layout but `generation`. Raises SchemaError."""
    layout, row = layout_of(row), json_object(row)
    match layout:
        case "lm_eval":
            return from_lm_eval(row)
        case "lighteval":
            return from_lighteval(row)
        case "lighteval_old":
            return from_old_lighteval(row)
        case "batch":
            return from_batch(row)
    return from_plain(row)
