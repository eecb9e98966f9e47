"""The annotators that have a name. To add one, write a class like `annotators.snippets` and a line here."""

from collections.abc import Mapping

from ...errors import UsageError
from ...plugins import Registry, parse_call
from ..config import AnnotateConfig
from .base import Annotator
from .divergent import DivergentAnnotator
from .given import GivenAnnotator
from .llm import LlmAnnotator
from .snippets import SnippetsAnnotator
from .surprisal import LocalSurprisal

ANNOTATORS: Registry[type[Annotator]] = Registry(
    "annotator",
    "srx.annotators",
    {
        "surprisal": LocalSurprisal,
        "llm": LlmAnnotator,
        "snippets": SnippetsAnnotator,
        "given": GivenAnnotator,
        "divergent": DivergentAnnotator,
    },
    Annotator,
)


def annotator_of(text: str) -> tuple[str, type[Annotator]]:
    """The name and the class of an annotator written as `name` or `name(argument, ...)`.

    Raises UsageError, MachineError.
    """
    name, arguments = parse_call(text)
    kind = ANNOTATORS.find(name)
    if arguments and not kind.takes_arguments:
        raise UsageError(f"{text!r}: {name} takes no arguments", "Give its flags instead")
    return name, kind


def check_flags(config: AnnotateConfig, given: Mapping[str, str | None]) -> None:
    """Raises UsageError for a flag that the annotator needs and lacks, or that belongs to another one."""
    name, kind = annotator_of(config.annotator)
    for flag in (flag for flag, value in given.items() if value and flag not in kind.flags):
        owner = next(name for name, one in ANNOTATORS.own.items() if flag in one.flags)
        raise UsageError(f"{flag} belongs to another annotator", f"Add --annotator {owner}, or leave it out")
    required = kind.required[:-1] if any(given.get(flag) for flag in kind.instead) else kind.required
    if missing := [flag for flag in required if not given[flag]]:
        raise UsageError(f"--annotator {name} needs {' and '.join(missing)}")
    kind.check(config, given)
