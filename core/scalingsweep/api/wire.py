"""The base of every wire type, and the way from a JSON-like value to one, with clear errors."""

import json
from typing import Any, ClassVar, Self

import pydantic
from pydantic.alias_generators import to_camel

from scalingsweep.api import cluster, wording
from scalingsweep.errors import SpecError


class Wire(pydantic.BaseModel):
    """A frozen value with camelCase names on the wire; fields that it does not know are refused."""

    model_config = pydantic.ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        validate_default=True,
    )

    one_of: ClassVar[tuple[str, ...]] = ()
    """Names on the wire of fields of which exactly one is given; both back ends check it."""
    guards: ClassVar[tuple[cluster.Rule, ...]] = ()
    """Rules for the API server; each has its twin in Python."""

    @pydantic.model_validator(mode="after")
    def _exactly_one(self) -> Self:
        fields = {field.alias or name: name for name, field in type(self).model_fields.items()}
        given = [name for name in self.one_of if getattr(self, fields[name]) is not None]
        if self.one_of and len(given) != 1:
            raise ValueError(cluster.exactly_one(self.one_of).message)
        return self

    def to_wire(self) -> dict[str, Any]:
        """The value as JSON types, with defaults left out: what an author would have written."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @classmethod
    def from_wire(cls, value: Any, at: str = "") -> Self:
        """Parse a JSON-like value; text is no number and 1 is not true, as for an API server.

        Args:
            value: what JSON or YAML gave.
            at: the path of `value` in what the user wrote, put before the field's name.

        Raises:
            SpecError: for the first field that is wrong.
        """
        try:
            return cls.model_validate_json(json.dumps(_whole(value)), strict=True)
        except pydantic.ValidationError as error:
            first = wording.first(error.errors(include_url=False, include_context=True))
            raise SpecError(wording.path(first["loc"], at), wording.of(first, cls)) from None


def _whole(value: Any) -> Any:
    """The value with 2000.0 as 2000: JSON has one kind of number, and kubectl sends the latter."""
    match value:
        case dict():
            return {key: _whole(item) for key, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
    return value
