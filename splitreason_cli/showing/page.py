"""Records as one HTML page, for whoever looks at data before paying for what it teaches."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..records.data import Record
from ..viewing.packing import Packer
from ..viewing.page import Look, write_page
from ..viewing.records import view_of
from ..viewing.views import View

LOOK = Look(__package__, "records.html.jinja")
EXAMPLES = 3
"""So many texts stand on the page itself, for browsers without scripts."""


@dataclass
class RecordsPage:
    """The texts of records, packed one by one, and what is left out.

    Attributes:
        kinds: how many records of each kind it shows.
        figures: how many of each kind it leaves out, as they hold no text.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)
    _examples: list[View] = field(default_factory=list)
    _packer: Packer = field(default_factory=Packer)

    def add(self, records: Iterable[Record]) -> None:
        """Raises what reading `records` raises, and MachineError if the temporary folder is full."""
        for record in records:
            view = view_of(record)
            if view is None:
                self.figures[record.kind] += 1
                continue
            self.kinds[record.kind] += 1
            self._packer.add(view)
            if len(self._examples) < EXAMPLES:
                self._examples.append(view)

    def write(self, path: Path, title: str, command: str, rejected: str = "") -> None:
        """Write what was added.

        Args:
            command: that makes such a page.
            rejected: how many records were, of how many, and where they are; empty if none.

        Raises:
            MachineError: the file cannot be written.
        """
        values = {
            "kinds": self.kinds,
            "figures": self.figures,
            "rejected": rejected,
            "examples": self._examples,
            "command": command,
        }
        write_page(path, LOOK, title, self._packer.finish(), values)
