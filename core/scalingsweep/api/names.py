"""The field types that several wire types share: names, counts, fractions."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

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


def _as_budget(value: float | str) -> float | str:
    budget(value)  # only to refuse
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f'{value!r} is not whole: quote it, as "{value!r}"')
    return value


def budget(written: float | str) -> float:
    """The value of a budget: a count, or the part of one that tokensPerParameter may be.

    Raises:
        ValueError: with the mend.
    """
    try:
        return quantity.parse(written)
    except ValueError:
        if re.fullmatch(r"0*[1-9][0-9]*\.[0-9]+|0+\.0*[1-9][0-9]*", str(written)):
            return float(written)
        raise


def flops(value: float) -> int:
    """FLOPs, from a number.

    Raises:
        ValueError: with the mend.
    """
    match value:
        case str():  # where text may stand too, the API server takes no number above 2^53
            raise ValueError(f"{value!r} is text: write FLOPs as a number without quotes, as 1e24")
    return quantity.parse(value)


_COUNT = {
    "x-kubernetes-int-or-string": True,
    "minimum": 1,
    "maxLength": 24,
    "pattern": r"^(0\.0*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)([eE]\+?[0-9]{1,2})? ?[kKMBT]?$",
}

Count = Annotated[int, BeforeValidator(quantity.parse), Field(ge=1), WithJsonSchema(_COUNT)]
"""A count of parameters or tokens, written 1000000, 1e9, `50M` or `1.3B`."""

WrittenCount = Annotated[
    int | float | str, BeforeValidator(_as_written), WithJsonSchema({**_COUNT, "multipleOf": 1})
]
"""A count that keeps the way it was written, as its label."""

Flops = Annotated[
    int, BeforeValidator(flops), Field(ge=1), WithJsonSchema({"type": "number", "minimum": 1})
]
"""A number of FLOPs, written 1e24."""

WrittenBudget = Annotated[int | str, BeforeValidator(_as_budget), WithJsonSchema(_COUNT)]
"""One of an arm's budgets as it is written there: a whole number, or text such as `2M` or "0.5"."""


_DURATION = r"([0-9]+(\.[0-9]+)?)(s|m|h|d)"


def _seconds(value: str) -> str:
    duration(value)
    return value


def duration(text: str) -> float:
    """Seconds of `90s`, `10m`, `72h` or `3d`.

    Raises:
        ValueError: with the mend.
    """
    match = re.fullmatch(_DURATION, text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: write a number and s, m, h or d, as 30m")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[3]]


Duration = Annotated[
    str,
    Field(max_length=16, json_schema_extra={"pattern": f"^{_DURATION}$"}),
    AfterValidator(_seconds),
]
"""A length of time: `90s`, `10m`, `72h`, `3d`."""
