"""Groups of commands: the root, which imports a command when it is called, and one that has a command of its own."""

import importlib
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context

COMMANDS = {
    "annotate": ("annotate", "Mark the hard spans of reasoning traces."),
    "build-sft": ("build_sft", "Turn annotated traces into prompts and tagged completions, split by problem."),
    "train": ("train", "Train the small model."),
    "serve": ("serve", "Serve a small and a big model behind one OpenAI-compatible endpoint."),
    "chat": (
        "chat",
        "Ask a running `srx serve` and watch who writes: spans of the big model light up as they stream.",
    ),
    "bench": (
        "bench",
        "Measure accuracy and offload share of several systems on the same problems, with 95 % intervals.",
    ),
    "simulate": (
        "simulate",
        "Estimate how long a split completion takes, in turns and pipelined, from prefill and decode rates.",
    ),
    "demo": (
        "demo",
        "See the whole path in minutes: annotate traces, train the small model to hand over, measure it.",
    ),
    "show": (
        "show",
        "Print records with their offloaded spans highlighted: in colour, and in ⟦brackets⟧ where there is none.",
    ),
    "stats": (
        "stats",
        "Print statistics of records: where spans lie, what share they cover, how many there are; lengths, rates, "
        "losses.",
    ),
    "store": ("store", "Look into the artifact store."),
}
"""Each command's module in this folder, and the first line of its help."""


def load(name: str) -> "Command":
    """Import a command of the table and make what click runs."""
    app = typer.Typer(rich_markup_mode="rich", callback=lambda: None)
    importlib.import_module(f".{COMMANDS[name][0]}", __package__).register(app)
    group = typer.main.get_group(app)
    return group.commands[name]


class LazyGroup(TyperGroup):
    """The commands of the table, listed without being imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, line) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=line))

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        """The command that `args` name, imported. Fails as click does where there is none."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(name or ""), rest


class DefaultGroup(TyperGroup):
    """A group whose first command has no name: it runs where the first argument names none of the others."""

    @property
    def default(self) -> str:
        return next(iter(self.commands))

    def make_context(
        self, info_name: str | None, args: list[str], parent: "Context | None" = None, **extra: Any
    ) -> "Context":
        """The context of the command that runs, so that its help and errors name it as it was called."""
        if args and args[0] in self.commands and args[0] != self.default:
            return self.commands[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return self.commands[self.default].make_context(info_name, args, parent, **extra)
