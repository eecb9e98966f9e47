"""Standard error for people: progress, summaries, errors."""

import contextlib
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import SrxError
from ..store.jsonl import print_line
from ..training import ranks

ALONE_AFTER_SECONDS = 5.0
"""How long a rank of a training run waits with its error for rank 0 to report the same."""


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        _stop_quietly()


class _Stderr(Console):
    """Standard error; where its reader has gone or there is none, the work goes on without it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def stdout() -> Console:
    """Standard output for text that people read; it ends quietly when its reader has gone."""
    return _Stdout(highlight=False)


# Under `accelerate launch` every process would say the same.
stderr = _Stderr(stderr=True, highlight=False, soft_wrap=True, quiet=not ranks.is_main() or sys.stderr is None)


def emit(line: bytes) -> None:
    """Write one record to standard output; ends the command quietly when its reader has gone."""
    try:
        print_line(line)
    except BrokenPipeError:
        _stop_quietly()


def report_error(error: SrxError) -> None:
    """One line: what is wrong, then what to do."""
    if ranks.is_main():
        stderr.print(f"[bold red]error[/]: {_escape(str(error))}")
        return
    # Rank 0 mostly fails alike, and the launcher then ends this process before it says the same again.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(ALONE_AFTER_SECONDS)
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"[bold red]error[/] on rank {ranks.rank()}: {_escape(str(error))}"
    )


def say(message: str) -> None:
    """A line for people, with rich markup."""
    stderr.print(message)


def note(message: str) -> None:
    """A line for people, printed as it is."""
    stderr.print(message, markup=False, emoji=False)


@contextlib.contextmanager
def progress(window_seconds: float = 30.0) -> Iterator[Progress]:
    """A live progress display; where standard error is no terminal, only its final state is printed.

    Args:
        window_seconds: the time left is told from the steps of so long; at least two of them must fit.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=stderr, refresh_per_second=5, speed_estimate_period=window_seconds) as live:
        yield live


def quiet_libraries(*, parallel_tokenizers: bool = False) -> None:
    """Keep the warnings and bars of the training libraries out of our display. Call before importing them.

    Args:
        parallel_tokenizers: of a command that starts no process, which that would not allow.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", str(parallel_tokenizers).lower())
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    for library in ("datasets", "trl"):
        logging.getLogger(library).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _stop_quietly() -> NoReturn:
    # Python would complain once more while flushing standard output at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)


def _escape(text: str) -> str:
    return text.replace("[", "\\[")
