"""The command line: each module parses one command's flags, calls its stage, and shows progress.

Nothing heavy is imported here; a stage is imported when its command runs.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..errors import SrxError
from ..store.jsonl import FULL, disk_fault
from . import annotate, bench, build_sft, chat, demo, serve, show, simulate, stats, store, train
from .console import report_error, say

INTERRUPTED = 130

app = typer.Typer(
    name="srx",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"srx {__version__}")
        raise typer.Exit


@app.callback(epilog="Start with: [bold]srx demo[/]")
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Reasoning split between a small and a big language model: annotate, train, decode, measure.

    Commands read and write JSONL, so they pipe into each other; standard output is data, standard error is for you.
    """


for module in (annotate, build_sft, train, serve, chat, bench, simulate, demo, show, stats, store):
    module.register(app)


def main() -> None:
    """Run `srx`, turning errors a user can act on into one line and an exit code (see `srx.errors`)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # A cluster that takes its node back says so by this signal; like Ctrl-C, it lets paid calls end.
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except OSError as error:
        if error.errno not in FULL:
            raise
        fault = disk_fault(Path("<stdout>"), error)
        report_error(fault)
        sys.exit(fault.exit_code)
    except SrxError as error:
        report_error(error)
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            say("interrupted; run the same command again to go on")
        raise
