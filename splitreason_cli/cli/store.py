"""srx store"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from ..records.data import label
from ..store.artifacts import Store
from ..store.differences import differences
from ..store.jsonl import encode
from . import console

store = typer.Typer(no_args_is_help=True, help="Look into the artifact store.")

Key = Annotated[str, typer.Argument(help="An artifact's key, or the start of it.")]


def register(app: typer.Typer) -> None:
    app.add_typer(store, name="store")


@store.command("ls", epilog="Example: srx store ls")
def list_artifacts(
    json: Annotated[bool, typer.Option("--json", help="Write artifact records as JSONL.")] = False,
) -> None:
    """List the finished artifacts, oldest first."""
    artifacts = Store.default().artifacts()
    if json:
        for artifact in artifacts:
            console.emit(encode(artifact.info))
        return
    table = Table("key", "stage", "of", "created", "records", "KiB")
    for artifact in artifacts:
        info = artifact.info
        table.add_row(
            info.key, info.stage, _subject(info.config), info.created, f"{info.records:,}", f"{info.bytes / 1024:,.0f}"
        )
    console.stdout().print(table)


def _subject(config: Mapping[str, Any]) -> str:
    """What an artifact is of, such as a model, or a benchmark's task and system; empty if its stage does not say."""
    subject = [str(config[name]) for name in ("task", "model") if config.get(name)]
    system = config.get("system")
    if isinstance(system, dict):
        subject.append(label(system["name"], system["offload_budget"]))
    return ", ".join(subject)


@store.command("show", epilog="Example: srx store show 3f2a 8c01")
def show(key: Key, other: Annotated[str | None, typer.Argument(help="An artifact to compare it with.")] = None) -> None:
    """Print how an artifact was made, as one record of kind artifact; of two, each difference on a line."""
    root = Store.default()
    info = root.get(key).info
    if other is None:
        console.emit(encode(info))
        return
    for name, change in differences(info, root.get(other).info):
        console.emit(f"{name}: {change}\n".encode())


@store.command("path", epilog='Example: head -1 "$(srx store path 3f2a)/records.jsonl"')
def path(key: Key) -> None:
    """Print the folder of an artifact."""
    typer.echo(Store.default().get(key).path)


@store.command("gc", epilog="Example: srx store gc --days 30 --dry-run")
def collect_garbage(
    days: Annotated[float, typer.Option(min=0, help="Remove what is older than this.")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove artifacts, unfinished work and spooled input that have not been written to for a while.

    What a running command works on stays.
    """
    root = Store.default()
    found = root.garbage(days)
    if dry_run:
        for item in found:
            console.say(f"would remove {item}")
        console.say(f"{len(found)} found")
        return
    freed = []
    for item in found:
        size = root.collect(item)
        console.say(f"{'in use, left' if size is None else 'removed'} {item}")
        freed += [] if size is None else [size]
    console.say(f"{len(freed)} removed, {sum(freed) / 2**20:.1f} MiB freed")
