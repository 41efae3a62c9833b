"""Every field of a wire type, for tests that must not forget one."""

import types
import typing
from typing import Any

import pydantic


def paths(model: type[pydantic.BaseModel], at: str = "") -> set[str]:
    """Every leaf as a path of wire names; a list of models counts by its own fields."""
    leaves: set[str] = set()
    for name, field in model.model_fields.items():
        path = f"{at}{field.alias or name}"
        inner = _models(field.annotation)
        if len(inner) == 1:
            leaves |= paths(inner[0], f"{path}.")
        else:
            leaves.add(path)
    return leaves


def _models(annotation: Any) -> list[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    if typing.get_origin(annotation) is None and not isinstance(annotation, types.UnionType):
        return []
    return [model for part in typing.get_args(annotation) for model in _models(part)]
