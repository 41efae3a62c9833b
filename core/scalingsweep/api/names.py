"""The field types that several wire types share: names, counts, fractions."""

import re
from typing import Annotated

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field

from scalingsweep import quantity

Name = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z]([a-z0-9_-]*[a-z0-9])?$")]
"""A short name of an arm or a corpus: it becomes part of column names and object names."""

Label = Annotated[str, Field(min_length=1, max_length=24, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""What a size is called: `125M`."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""The first 32 hex digits of a sha256."""

Uri = Annotated[str, Field(min_length=1, max_length=1024)]
"""`s3://bucket/prefix/`, or a folder or file relative to the manifest (on one machine only)."""


def _as_written(value: float | str) -> float | str:
    quantity.parse(value)  # only to refuse
    return value


Count = Annotated[int, BeforeValidator(quantity.parse), Field(ge=1)]
"""A count of parameters, tokens or FLOPs, written 1000000, 1e24, `50M` or `1.3B`."""

WrittenCount = Annotated[int | float | str, BeforeValidator(_as_written)]
"""A count that keeps the way it was written, as its label."""


def _seconds(value: str) -> str:
    duration(value)
    return value


def duration(text: str) -> float:
    """Seconds of `90s`, `10m`, `72h` or `3d`.

    Raises:
        ValueError: with the mend.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d)", text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: write a number and s, m, h or d, as 30m")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]]


Duration = Annotated[str, Field(max_length=16), AfterValidator(_seconds)]
"""A length of time: `90s`, `10m`, `72h`, `3d`."""


def exactly_one(model: pydantic.BaseModel, *names: str) -> None:
    """Refuse a wire value in which not exactly one of these fields is given.

    Raises:
        ValueError: naming them.
    """
    fields = type(model).model_fields
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        wire_names = [fields[name].alias or name for name in names]
        raise ValueError(f"give exactly one of {', '.join(wire_names)}")
