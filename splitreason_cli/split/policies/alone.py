"""`never` and `always`: one of the two models alone."""

from dataclasses import dataclass
from typing import ClassVar

from .arguments import positional
from .base import Place, Policy, PolicyContext


@dataclass
class Never(Policy):
    """The small model alone."""

    name: ClassVar[str] = "never"
    may_open: ClassVar[bool] = False

    @classmethod
    def parse(cls, context: PolicyContext, arguments: tuple[str, ...]) -> "Never":
        positional(arguments)
        return cls()


@dataclass
class Always(Policy):
    """The big model from the first token on, as far as the budget goes."""

    name: ClassVar[str] = "always"

    @classmethod
    def parse(cls, context: PolicyContext, arguments: tuple[str, ...]) -> "Always":
        positional(arguments)
        return cls()

    def opens(self, place: Place) -> bool:
        return True
