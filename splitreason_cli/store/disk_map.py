"""A map that outgrows memory: what was seen before among any number of rows."""

import sqlite3

from ..errors import MachineError

CACHE_KIB = 8 * 1024
"""What is held in memory at most; the rest lies in a temporary file."""

_SETTINGS = (
    f"PRAGMA cache_size = -{CACHE_KIB}",
    # Nothing of it outlives this process, so there is nothing to roll back or to sync.
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "CREATE TABLE map (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID",
    "BEGIN",
)


class DiskMap:
    """Bytes to bytes, in a temporary database that is gone with this object and that no other process sees.

    Up to `CACHE_KIB` it stays in memory, beyond that in a file of the temporary folder (`SQLITE_TMPDIR`, `TMPDIR`).
    Every method raises MachineError if that is full.
    """

    def __init__(self) -> None:
        # The empty name stands for a private file that SQLite deletes.
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in _SETTINGS:
            self._run(setting)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        return self._run("SELECT value FROM map WHERE key = ?", key)

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def put(self, key: bytes, value: bytes) -> None:
        """Give a key a value, in place of an older one."""
        self._run("INSERT OR REPLACE INTO map VALUES (?, ?)", key, value)

    def add(self, key: bytes, value: bytes = b"") -> None:
        """Give a key a value, unless it has one."""
        self._run("INSERT OR IGNORE INTO map VALUES (?, ?)", key, value)

    def _run(self, statement: str, *values: bytes) -> bytes | None:
        try:
            row = self._database.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            hint = "Free some space, or point TMPDIR at a folder with room"
            raise MachineError(f"the folder for temporary files: {error}", hint) from None
        return row[0] if row else None
