"""The command line: each module parses one command's flags, calls the verb that it is for, and shows progress.

Nothing heavy is imported here: a command is imported when it is called, and the verb when it runs.
"""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from ..errors import SrxError
from .groups import LazyGroup

INTERRUPTED = 130

app = typer.Typer(
    name="srx",
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

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


def main() -> None:
    """Run `srx`, turning errors a user can act on into one line and an exit code (see `splitreason_cli.errors`)."""
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _say_interrupted()
        raise
    except Exception as error:
        # An import that is interrupted may say that it failed.
        if _was_interrupted(error):
            _say_interrupted()
            sys.exit(INTERRUPTED)
        if isinstance(error, SrxError):
            _end(error)
        if isinstance(error, OSError):
            _end_if_disk_is_full(error)
        raise


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    """A cluster that takes its node back says so by SIGTERM; like Ctrl-C, it lets paid calls end."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in the background of a script, where Ctrl-C is for others.
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _was_interrupted(error: BaseException | None) -> bool:
    while error:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _say_interrupted() -> None:
    from ..store.afresh import Afresh
    from .console import say

    # Interrupted before anything is afresh, a run without the flag would take what is finished.
    flag = " without --fresh" if Afresh.has_begun and "--fresh" in sys.argv else " again"
    say(f"interrupted; run the same command{flag} to go on")


def _end_if_disk_is_full(error: OSError) -> None:
    from ..store.jsonl import FULL, disk_fault

    if error.errno in FULL:
        _end(disk_fault(Path("<stdout>"), error))


def _end(error: SrxError) -> NoReturn:
    from .console import report_error

    report_error(error)
    sys.exit(error.exit_code)
