"""Groups of options as typer and click see them."""

import inspect
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from splitreason_cli.cli.option_groups import expanded, given_flags


@dataclass(frozen=True)
class Inner:
    depth: Annotated[int, typer.Option(min=1, help="How deep.", rich_help_panel="Inside")] = 2


@dataclass(frozen=True)
class Outer:
    inner: Inner
    colour: Annotated[Literal["red", "blue"], typer.Option(help="Which.")] = "red"
    in_: Annotated[str, typer.Option("--in", help="From where.")] = "-"

    def __post_init__(self):
        if self.in_ == "nowhere":
            raise ValueError(self.in_)


def called(command, *arguments):
    app = typer.Typer()
    app.command()(expanded(command))
    return CliRunner().invoke(app, arguments)


def test_fields_stand_in_order_where_their_group_stood():
    def command(*, first: int = 0, outer: Outer, last: int = 0):
        """What it does."""

    made = expanded(command)
    assert list(inspect.signature(made).parameters) == ["first", "depth", "colour", "in_", "last"]
    assert made.__doc__ == "What it does."


def test_a_command_is_called_with_its_groups():
    seen = []

    def command(name: str, outer: Outer):
        seen.append((name, outer))

    assert called(command, "x", "--depth", "3", "--in", "a").exit_code == 0
    assert called(command, "--colour", "blue", "y").exit_code == 0
    assert seen == [("x", Outer(Inner(3), "red", "a")), ("y", Outer(Inner(2), "blue", "-"))]


def test_bounds_choices_panels_and_defaults_are_those_of_the_fields():
    def command(outer: Outer):
        pass

    assert called(command, "--depth", "0").exit_code == called(command, "--colour", "grey").exit_code == 2
    shown = called(command, "--help").output
    assert "Inside" in shown
    assert "[default: red]" in shown


def test_a_name_that_comes_twice_is_refused():
    def command(outer: Outer, *, depth: int = 0):
        pass

    with pytest.raises(TypeError, match="command takes depth twice"):
        expanded(command)


def test_a_field_without_a_default_must_be_given():
    @dataclass(frozen=True)
    class Needed:
        size: Annotated[int, typer.Option(help="How big.")]

    def command(*, before: int = 0, needed: Needed):
        assert needed.size == 4

    assert called(command).exit_code == 2
    assert called(command, "--size", "4").exit_code == 0


def test_what_a_group_refuses_reaches_the_caller():
    def command(outer: Outer):
        raise AssertionError

    assert isinstance(called(command, "--in", "nowhere").exception, ValueError)


def test_flags_are_given_if_they_are_written_even_with_their_defaults():
    seen = []

    def command(context: typer.Context, outer: Outer, size: int = 1):
        seen.append((given_flags(context, Outer), given_flags(context, Inner)))

    called(command)
    called(command, "--size", "2", "--in", "-", "--depth", "2")
    assert seen == [([], []), (["--depth", "--in"], ["--depth"])]
