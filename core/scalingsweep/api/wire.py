"""The base of every wire type, and the way from a JSON-like value to one, with clear errors."""

from typing import Any, Self

import pydantic
from pydantic.alias_generators import to_camel

from scalingsweep.api import wording
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

    def to_wire(self) -> dict[str, Any]:
        """The value as JSON types, with defaults left out: what an author would have written."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @classmethod
    def from_wire(cls, value: Any, at: str = "") -> Self:
        """Parse a JSON-like value.

        Args:
            value: what JSON or YAML gave.
            at: the path of `value` in what the user wrote, put before the field's name.

        Raises:
            SpecError: for the first field that is wrong.
        """
        try:
            return cls.model_validate(value)
        except pydantic.ValidationError as error:
            first = wording.first(error.errors(include_url=False, include_context=True))
            raise SpecError(wording.path(first["loc"], at), wording.of(first, cls)) from None
