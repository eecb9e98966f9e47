"""Groups of flags of srx bench."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..measuring.systems.named import SYSTEMS, split_names
from ..records.data import Extract
from ..tasks.named import task_of
from . import values
from .options import Fresh, Hint
from .side_options import PANEL, Sides

if TYPE_CHECKING:
    from ..measuring.bench import Lineup
    from ..measuring.runner import BenchConfig
    from ..measuring.systems.base import System
    from ..measuring.where import Backends


@dataclass(frozen=True)
class Measured:
    """The systems, and the models they are made of."""

    systems: Annotated[
        str,
        typer.Option(help=f"Comma-separated: {', '.join(SYSTEMS)}; or a policy with arguments, as relay(16,64)."),
    ] = "small,big,random,split"
    policy: Annotated[
        str,
        typer.Option(help="When split hands over: learned, learned(0.3), relay(16), entropy(1.5), keyword(Wait)."),
    ] = "learned"
    small: Annotated[str, typer.Option(help="Small model: a folder, a name, mini-split, or URLs of servers.")] = (
        "mini-split"
    )
    big: Annotated[str, typer.Option(help="Big model, likewise.")] = "mini-big"
    offload_budget: Annotated[
        str, typer.Option(help="Cap on big tokens / all tokens over the run; a list runs split once for each.")
    ] = "none"
    random_share: Annotated[
        str | None, typer.Option(help="Offload share of system random, instead of each split's own spans.")
    ] = None
    random_span_tokens: Annotated[int, typer.Option(min=1, help="Span length that goes with --random-share.")] = 3

    def lineup(self) -> "Lineup":
        """What is compared. Raises UsageError."""
        from ..measuring.bench import Lineup

        systems, budgets = split_names(self.systems), values.budgets(self.offload_budget)
        return Lineup(systems, budgets, self.policy, self.chance())

    def chance(self) -> "System | None":
        """The system `random`, if it is not to copy each split. Raises UsageError."""
        from ..measuring.systems.random import RandomShareSystem

        if self.random_share is None:
            return None
        return RandomShareSystem(values.share("--random-share", self.random_share), self.random_span_tokens)


@dataclass(frozen=True)
class Decoding:
    """How every system decodes."""

    samples: Annotated[int, typer.Option(min=1, help="Completions a problem.")] = 16
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.6
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Nucleus sampling.")] = 0.95
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens a completion, tags not counted; default of the task: mini 256, else 32768."),
    ] = None
    max_span_tokens: Annotated[int | None, typer.Option(min=1, help="Take back after so many tokens.")] = None
    problems: Annotated[int, typer.Option(min=0, help="Use only the first N problems; 0 uses all.")] = 0
    batch_size: Annotated[int, typer.Option(min=1, help="Completions decoded together in this process.")] = 128
    seed: Annotated[int, typer.Option(help="Of sampling and of random hand-overs.")] = 0
    hint: Hint = True
    fresh: Fresh = False

    def config(self, task: str, data: str | None, measured: Measured, extract: Extract) -> "BenchConfig":
        """What every system of a run on this task shares; `data` is read in place of the task's own problems."""
        from ..measuring.runner import BenchConfig

        flags = {name: value for name, value in vars(self).items() if name != "fresh"}
        flags |= {"max_tokens": self.max_tokens or task_of(task).max_tokens}
        small, big = measured.small, measured.big
        return BenchConfig(task=task, data=data, small=small, big=big, extract=extract, **flags)


@dataclass(frozen=True)
class Places:
    """Where the models run."""

    sides: Sides
    runtime: Annotated[
        Literal["in-process", "vllm"],
        typer.Option(help="Where models that are no URLs run; vllm starts servers.", rich_help_panel=PANEL),
    ] = "in-process"
    concurrency: Annotated[int, typer.Option(min=1, help="Samples in flight on servers.", rich_help_panel=PANEL)] = 16
    vllm_args: Annotated[
        str, typer.Option(help="Arguments of both vLLM servers started, in quotes.", rich_help_panel=PANEL)
    ] = ""
    log_folder: Annotated[
        Path, typer.Option(help="Where vLLM servers that are started write.", rich_help_panel=PANEL)
    ] = Path("srx-bench-logs")

    def backends(self, measured: Measured, batch_size: int) -> "Backends":
        """Both models, where they run. Raises UsageError."""
        from ..measuring.where import Backends

        both = values.arguments("--vllm-args", self.vllm_args)
        small, big = self.sides.pair(measured.small, measured.big, both)
        return Backends(small, big, self.runtime, self.concurrency, batch_size, self.log_folder)
