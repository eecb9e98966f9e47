"""The embedded models as models that have never heard of the tags."""

import shutil
from pathlib import Path

from splitreason_cli.records import markup
from splitreason_cli.store.embedded import EMBEDDED_MODELS


def write_untagged(name: str, folder: Path) -> None:
    """A copy of an embedded model whose tags have other names."""
    shutil.copytree(EMBEDDED_MODELS[name], folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / file).read_text(encoding="utf-8")
        for number, tag in enumerate((markup.OPEN, markup.CLOSE)):
            text = text.replace(f'"{tag}"', f'"<|spare{number}|>"')
        (folder / file).write_text(text, encoding="utf-8")
