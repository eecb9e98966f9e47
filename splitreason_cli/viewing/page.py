"""One self-contained HTML file that shows views, each with an address of its own, searchable."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..store.jsonl import write_atomically
from .packing import Packed

LAYOUT, STYLE = "page.html.jinja", "page.css"


@dataclass(frozen=True)
class Look:
    """Files of a package that make a page of its own of the common one.

    Args:
        template: extends `page.html.jinja`, and has a `header`, a `content` and what comes `after`.
        scripts: are run once the index is read.
    """

    package: str
    template: str
    styles: Sequence[str] = ()
    scripts: Sequence[str] = ()


def write_page(path: Path, look: Look, title: str, traces: Packed, values: Mapping[str, object]) -> None:
    """Write the page. It loads nothing, and runs no script but its own, whatever the texts say.

    Args:
        values: what else the template of `look` shows.

    Raises:
        MachineError: the file cannot be written.
    """
    import jinja2

    templates = {LAYOUT: _part(__package__, LAYOUT), look.template: _part(look.package, look.template)}
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=jinja2.DictLoader(templates)
    )
    page = environment.get_template(look.template).generate(
        title=title, traces=traces, **_style_and_script(look), **values
    )
    write_atomically(path, (piece.encode("utf-8", "replace") for piece in page))


def _style_and_script(look: Look) -> dict[str, str]:
    """What the page embeds, and the digest by which a browser knows that a script is the page's own."""
    styles = [_part(__package__, STYLE), *(_part(look.package, name) for name in look.styles)]
    own = "".join(_part(look.package, name) for name in look.scripts)
    script = _part(__package__, "data.js") + own + _part(__package__, "viewer.js") + _part(__package__, "search.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"style": "".join(styles), "script": script, "script_hash": digest}


def _part(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
