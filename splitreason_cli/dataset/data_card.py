"""What a published data set says about itself, in Markdown."""

from ..records.data import JsonObject
from ..records.markdown import cell, public, setting, table
from .selection import SelectionTally

TAG = "srx-build-sft"
"""The tag by which a card is known to be written by this tool."""

MESSAGE = "list of {role, content}"
COLUMNS = {
    "id": ("string", "the id of the trace"),
    "prompt": (MESSAGE, "the user's turn"),
    "completion": ("string", "the reasoning with its tags, the end of thinking, the response"),
    "messages": (MESSAGE, "the user's and the assistant's turn, the latter with the whole thinking"),
    "reasoning_sha256": ("string", "SHA-256 of the reasoning without tags, in UTF-8"),
    "tokens": ("int64", "length in tokens; null if it was not counted"),
    "extra": ("string", "further fields of the trace as a JSON object; null without any"),
}

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    return next((name for limit, name in SIZES if rows < limit), "n>10M")


def body(
    title: str, version: str, config: JsonObject, inputs: dict[str, str], tally: SelectionTally, columns: list[str]
) -> str:
    """The card below its front matter.

    Args:
        config: the resolved configuration. inputs: names of what went in, to SHA-256.
        columns: names of the columns, all of them keys of `COLUMNS`.
    """
    sections = [
        f"# {title}",
        "Reasoning traces whose hard passages are marked for a big model, for training a small model to hand over. "
        f"Made by `srx build-sft` (srx {version}). The rights are those of the traces and of the models behind them.",
        "## Contents",
        table(("split", "rows"), [(split, f"{count:,}") for split, count in tally.splits.items()]),
        f"{tally.span_share:.1%} of the reasoning's {tally.characters:,} characters lie inside {tally.spans:,} spans. "
        "Splits are made by problem.",
        "## Columns",
        table(("column", "type", "what"), [(name, *COLUMNS[name]) for name in columns]),
        "## How it was made",
        table(("annotator", "rows"), [(cell(name), f"{count:,}") for name, count in tally.annotators.items()]),
        table(("traces", "count"), _counts(tally, config["max_tokens"])),
        table(("input", "SHA-256"), [(cell(public(name)), value) for name, value in inputs.items()]),
        table(("setting", "value"), [(name, cell(setting(value))) for name, value in config.items()]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _counts(tally: SelectionTally, max_tokens: object) -> list[tuple[str, str]]:
    counts = {"kept": tally.kept, "dropped, the problem of another trace": tally.repeated}
    counts |= {f"dropped, found in {cell(public(file))}": count for file, count in tally.found_in.items()}
    if isinstance(max_tokens, int):
        counts[f"dropped, over {max_tokens:,} tokens"] = tally.too_long
    counts["dropped, without an answer"] = tally.unanswered
    counts["quarantined as malformed"] = tally.quarantined
    return [(name, f"{count:,}") for name, count in counts.items()]
