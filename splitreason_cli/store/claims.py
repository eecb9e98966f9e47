"""Claims: which of several processes does a piece of work that would else be paid for twice.

A claim is a lock on one byte of a file, at a place that follows from the key. The system gives it back when the process
ends, however it ends, and no file is left behind for each key.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

from .jsonl import disk_fault

_POLL_SECONDS = 0.2


class Claims:
    """Claims on keys, which are hexadecimal. Within one process a key is claimed once at a time.

    Raises MachineError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Closing any descriptor of the file would give back all of this process's claims, so it has one, kept open.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise disk_fault(path, error) from None

    @contextlib.asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """The claim on a key, waited for as long as another process has it."""
        place = int(key[:15], 16)
        while not self._take(place):
            await asyncio.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def _take(self, place: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            return False
        except OSError as error:
            # A file system without locks, on which processes cannot know of each other.
            return error.errno != errno.EACCES
        return True
