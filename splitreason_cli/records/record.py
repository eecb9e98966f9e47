"""What all records have in common: how one is read from JSON and written.

A line is a JSON object with `kind`, `schema` and the fields of its class. Fields that a class does not know are kept
in `extra` and written back untouched, so a user's own columns travel through every stage.
"""

from dataclasses import dataclass, field, fields
from typing import ClassVar, Self

import msgspec

SCHEMA = 1
"""Version of the record layouts, raised when a field changes its meaning."""

JsonObject = dict[str, object]
"""A JSON object. Its values are JSON of any kind, to be told apart by `isinstance` before they are used."""


class SchemaError(ValueError):
    """A JSON value that is no record of the expected kind. The message says what is wrong and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of all records: `kind` names the class on the wire, `extra` holds the fields the class does not know."""

    kind: ClassVar[str]
    extra: JsonObject = field(default_factory=dict, repr=False)

    def to_dict(self) -> JsonObject:
        """The JSON object of this record: kind, schema, own fields, then the unknown ones."""
        own = {name: msgspec.to_builtins(getattr(self, name)) for name in _own_fields(type(self))}
        unknown = {name: value for name, value in self.extra.items() if name not in own}
        return {"kind": self.kind, "schema": SCHEMA, **own, **unknown}

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read a JSON object. A missing `kind` counts as this one. Raises SchemaError."""
        value = json_object(value, "record")
        kind, schema = value.get("kind", cls.kind), value.get("schema", SCHEMA)
        if kind != cls.kind:
            raise SchemaError(f"expected a record of kind '{cls.kind}', got {kind!r}")
        if not isinstance(schema, int) or schema > SCHEMA:
            raise SchemaError(f"schema {schema!r} is newer than {SCHEMA}, the newest this srx reads; upgrade srx")
        own = _own_fields(cls)
        known = {name: value[name] for name in own if name in value}
        extra = {name: item for name, item in value.items() if name not in own and name not in ("kind", "schema")}
        try:
            return msgspec.convert({**known, "extra": extra}, cls)
        except msgspec.ValidationError as error:
            raise SchemaError(_explain(error)) from None


def json_object(value: object, what: str = "row") -> JsonObject:
    """The value, if it is a JSON object; `what` names it otherwise. Raises SchemaError."""
    if not isinstance(value, dict):
        raise SchemaError(f"a {what} is a JSON object, got {type(value).__name__}")
    return value


def _own_fields(cls: type[Record]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls) if f.name != "extra")


def _explain(error: msgspec.ValidationError) -> str:
    """Turn "Expected `str`, got `int` - at `$.problem`" into a sentence that names the field first."""
    what, _, path = str(error).partition(" - at `$")
    path = path.removesuffix("`").lstrip(".")
    if what.startswith("Object missing required field `"):
        inner = f" of '{path}'" if path else ""
        return f"field '{what.split('`')[1]}'{inner} is missing"
    return f"field '{path}': {what[0].lower()}{what[1:].replace('`', '')}" if path else what
