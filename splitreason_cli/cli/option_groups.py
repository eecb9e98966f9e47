"""Groups of options: frozen dataclasses whose fields become flags of every command that takes them."""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter

import typer


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer in place of one that takes groups: each group's fields stand where the group stood.

    Fields are annotated as typer's parameters are, `Annotated[int, typer.Option(...)]`, and may be groups themselves.
    Raises TypeError where two parameters have the same name, as one flag would hide the other.
    """
    own = inspect.signature(command, eval_str=True).parameters
    flat = [one for parameter in own.values() for one in _flattened(parameter)]
    names = [one.name for one in flat]
    if clash := {name for name in names if names.count(name) > 1}:
        raise TypeError(f"{command.__name__} takes {', '.join(sorted(clash))} twice")

    @functools.wraps(command)
    def run(**given: object) -> None:
        command(**{name: _collected(one.annotation, name, given) for name, one in own.items()})

    run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in flat}
    return run


def given_flags(context: typer.Context, *groups: type) -> list[str]:
    """The flags of these groups that stand on the command line, whatever their values."""
    names = {one.name for group in groups for one in _fields(group)}
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and _is_typed(context, parameter.name)
    ]


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _flattened(parameter: Parameter) -> Iterator[Parameter]:
    if dataclasses.is_dataclass(parameter.annotation):
        yield from _fields(typing.cast(type, parameter.annotation))
    else:
        # By keyword, so that a parameter without a default may follow a group that has them.
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY)


def _fields(group: type) -> Iterator[Parameter]:
    types = typing.get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        default = Parameter.empty if field.default is dataclasses.MISSING else field.default
        one = Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=types[field.name])
        yield from _flattened(one)


def _collected(annotation: object, name: str, given: Mapping[str, object]) -> object:
    """The value of a parameter: its own, or the group made of those of its fields."""
    if not (isinstance(annotation, type) and dataclasses.is_dataclass(annotation)):
        return given[name]
    types = typing.get_type_hints(annotation, include_extras=True)
    return annotation(**{one: _collected(kind, one, given) for one, kind in types.items()})
