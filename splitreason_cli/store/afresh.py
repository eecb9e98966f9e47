"""What counts for a run that began afresh: what was begun since, and nothing from before."""

from pathlib import Path
from typing import ClassVar

from .jsonl import write_atomically


class Afresh:
    """The keys of the artifacts that were begun since, in a file too if another process may have to go on.

    Raises MachineError if the file cannot be written.

    Attributes:
        has_begun: whether anything of this process began afresh, so that it is to be gone on with and not done again.
    """

    has_begun: ClassVar[bool] = False

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._file: Path | None = None

    @classmethod
    def left_in(cls, file: Path) -> "Afresh | None":
        """What a run that was cut off has left in its file; None if there is no file."""
        try:
            text = file.read_text("utf-8")
        except FileNotFoundError:
            return None
        found = cls()
        found._keys = set(text.split())
        return found

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, key: str) -> None:
        """From now on the artifact of this key counts."""
        self._keys.add(key)
        self.keep(self._file)

    def keep(self, file: Path | None) -> None:
        """Write the keys there now and whenever one is added; None ends that."""
        Afresh.has_begun = True
        self._file = file
        if file:
            write_atomically(file, (f"{key}\n".encode() for key in sorted(self._keys)))
