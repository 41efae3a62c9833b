"""What is wrong with a wire value, in words that name the mend: one line instead of pydantic's.

`wire` asks for the first thing that is wrong. Where a field may be one of several things, pydantic
complains once for each of them; the complaint that got furthest into the value is the one meant.
"""

import difflib
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import pydantic

PATTERNS = {
    r"^[a-z]([a-z0-9_-]*[a-z0-9])?$": "small letters, digits, - and _, a letter first",
    r"^[a-z]([-a-z0-9]*[a-z0-9])?$": "small letters, digits and hyphens, a letter first",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "small letters, digits and hyphens",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "letters, digits, dots, - and _",
    r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$": "small letters, digits, dots and hyphens",
    r"^([^/\s][^\s]*[^/\s]|[^/\s])?$": "a path without spaces, and no slash at either end",
    r"^https?://[^\s@]+$": "http://HOST:PORT or https://HOST, without a user or password",
    r"^[0-9.]+([EPTGMk]i?)?$": "a size as Kubernetes writes it, 16Gi",
    r"^[0-9a-f]{32}$": "32 hex digits",
    r"^(0\.0*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)([eE]\+?[0-9]{1,2})? ?[kKMBT]?$": "digits with k, "
    "M, B or T, as 50M",
    r"^([0-9]+(\.[0-9]+)?)(s|m|h|d)$": "a number and s, m, h or d, as 30m",
}
"""The patterns of all fields that a person writes, in words; a test finds those that lack any."""

_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a map of fields",
    "model": "a map of fields",
}


def first(errors: Sequence[Any]) -> Any:
    """The error to report: the first one, or what lies deepest beneath it."""
    head = path(errors[0]["loc"])
    below = [error for error in errors if path(error["loc"]).startswith(head)]
    return max(below, key=lambda error: (path(error["loc"]).count("."), _rank(error)))


def path(loc: Sequence[str | int], at: str = "") -> str:
    """A field as its author sees it: `spec.arms[1].replay.ratio`."""
    for part in loc:
        if isinstance(part, int):
            at += f"[{part}]"
        elif not _is_union_branch(part):
            at += f".{part}" if at else part
    return at


def of(problem: Any, model: type[pydantic.BaseModel]) -> str:
    """One error of pydantic's about a value of `model`, in words."""
    kind, context = problem["type"], problem.get("ctx", {})
    given = problem.get("input")
    match kind:
        case "extra_forbidden":
            return _unknown(problem["loc"], model)
        case "missing":
            return "is required: add it"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {context['expected']}{_not(given)}"
        case "too_short":
            least = f"give at least {context['min_length']}"
            return (
                f"has {context['actual_length']} items: {least}" if given else f"is empty: {least}"
            )
        case "too_long":
            return f"has too many items: give at most {context['max_length']}"
        case "string_too_short":
            return f"is too short{_not(given)}: at least {context['min_length']} characters"
        case "string_too_long":
            return f"is too long: at most {context['max_length']} characters"
        case "string_pattern_mismatch" if context["pattern"] in PATTERNS:
            return f"{given!r} does not fit: write {PATTERNS[context['pattern']]}"
        case _ if kind in _BOUNDS:
            words, key = _BOUNDS[kind]
            return f"must be {words} {context[key]:g}{_not(given)}"
    wanted = _KINDS.get(kind.partition("_")[0])
    message: str = f"must be {wanted}" if wanted else problem["msg"]
    return f"{message}{_not(given)}"


def _rank(error: Any) -> int:
    """What tells most among complaints about one place."""
    kind = error["type"]
    if kind == "value_error":
        return 3
    if kind.endswith(("_type", "_parsing")):
        return 1 if kind == "tuple_type" else 0  # where a map could stand too, a list is usual
    return 2


def _is_union_branch(part: str) -> bool:
    # pydantic puts the tag of a union's member into the path; no field of ours looks like one
    return not part[:1].islower() or "[" in part or part in {"int", "str", "float"}


def _not(given: Any) -> str:
    match given:
        case None:
            return ", not empty: give a value, or leave the field out"
        case bool():
            return f", not {str(given).lower()} (YAML reads a bare yes/no/on/off so: quote it)"
        case str() | int() | float():
            return f", not {given!r}"
        case dict():
            return ", not a map of fields"
        case list():
            return ", not a list"
    return ""


def _unknown(loc: Sequence[str | int], model: type[pydantic.BaseModel]) -> str:
    known = _fields(loc, model)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    if close:
        return f"unknown field; did you mean {close[0]}?"
    return f"unknown field; remove it, or choose from {', '.join(known)}"


def _fields(loc: Sequence[str | int], model: type[pydantic.BaseModel]) -> list[str]:
    """The fields that can stand beside the last one of `loc`."""
    models = [model]
    for part in loc[:-1]:
        fields = [f for m in models for f in m.model_fields.values() if f.alias == part]
        if fields:
            models = [m for field in fields for m in _models(field.annotation)]
        else:  # a list's index, or the tag of a union's member
            models = [m for m in models if m.__name__ == part] or models
    return [str(field.alias) for m in models for field in m.model_fields.values()]


def _models(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)
