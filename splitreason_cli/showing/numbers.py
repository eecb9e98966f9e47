"""Many numbers of one measure, of which memory holds few."""

import tempfile
from array import array
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from ..errors import MachineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IN_MEMORY = 32_768
"""Numbers that are held in memory; from there on they go to a temporary file."""


class Numbers:
    """Numbers in the order in which they came. Raises MachineError if there is no room for them."""

    def __init__(self) -> None:
        self._last = array("d")
        self._file: IO[bytes] | None = None

    def extend(self, numbers: Iterable[float]) -> None:
        """Add numbers."""
        self._last.extend(numbers)
        if len(self._last) >= IN_MEMORY:
            try:
                self._file = self._file or tempfile.TemporaryFile(prefix="srx-")  # noqa: SIM115 - lives as long as this
                self._last.tofile(self._file)
                self._file.flush()
            except OSError as error:
                hint = "Free some space, or point TMPDIR at a folder with room"
                raise MachineError(f"the folder for temporary files: {error.strerror}", hint) from None
            self._last = array("d")

    def values(self) -> "NDArray[np.float64]":
        """All of them, shape (n,), in memory for as long as the result lives."""
        import numpy as np

        written = np.empty(0)
        if self._file:
            self._file.seek(0)
            written = np.fromfile(self._file)
            self._file.seek(0, 2)
        return np.concatenate([written, np.asarray(self._last)])
