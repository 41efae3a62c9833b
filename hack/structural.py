"""From wire types to structural schemas, the kind that a Kubernetes API server accepts.

`crds` calls it. A field, its description, its bounds and its rules are read from the type; nothing
is said here about any one of them.

A structural schema has no references, no null type and no unions. Optional becomes nullable; models
that may stand in one place become one object and a `oneOf`; where values of several JSON types may
stand, the node has no type, and as every keyword of JSON Schema judges values of one type only, the
keywords of all branches stand beside each other.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from scalingsweep.api import cluster
from scalingsweep.api.wire import Wire

Schema = dict[str, Any]

_ABSENT: dict[str, Schema] = {
    "object": {"minProperties": 1, "maxProperties": 0},
    "array": {"minItems": 1, "maxItems": 0},
    "string": {"minLength": 1, "maxLength": 0},
    "number": {"minimum": 1, "maximum": 0},
    "boolean": {"not": {"enum": [True, False]}},
}
"""What no value of a JSON type fulfils."""


def schema(model: type[Wire]) -> Schema:
    """A wire type as a structural schema."""
    given = model.model_json_schema(schema_generator=_Generator)
    return _structural(given, given.get("$defs", {}))


class _Generator(GenerateJsonSchema):
    """JSON Schema of wire types, with their rules, and defaults as an author would write them."""

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        value = super().model_schema(schema)
        model: type[Wire] = schema["cls"]
        found = [cluster.exactly_one(model.one_of)] if model.one_of else []
        found += model.guards
        if found:
            value |= cluster.rules(*found)
        return value

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, Wire):
            return dft.to_wire()
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        return super().encode_default(dft)


_DROPPED = {"$defs", "title", "additionalProperties", "discriminator", "$ref", "anyOf", "oneOf"}


def _structural(node: Schema, defs: Schema) -> Schema:
    """The same schema without what an API server refuses; `defs` holds what `$ref` names."""
    value = {key: item for key, item in node.items() if key not in _DROPPED}
    if "properties" in node:
        value["properties"] = {
            name: _structural(item, defs) for name, item in node["properties"].items()
        }
    if "prefixItems" in value:
        value["items"] = value.pop("prefixItems")[0]
    if "items" in value:
        value["items"] = _structural(value["items"], defs)
    if "const" in value:
        value["enum"] = [value.pop("const")]
    if node.get("type") == "object" and "properties" not in node:
        value["x-kubernetes-preserve-unknown-fields"] = True
    for bound in ("Minimum", "Maximum"):
        if f"exclusive{bound}" in value:
            value[bound.lower()] = value[f"exclusive{bound}"]
            value[f"exclusive{bound}"] = True
    if "description" in value:
        value["description"] = " ".join(value["description"].split())
    if value.get("default", ...) in (None, []):
        del value["default"]
    if "$ref" in node:
        value = _over(_structural(defs[node["$ref"].rpartition("/")[2]], defs), value)
    if branches := node.get("anyOf", node.get("oneOf")):
        value = _over(_union([_structural(branch, defs) for branch in branches]), value)
    return value


def _over(below: Schema, above: Schema) -> Schema:
    """A definition, and what the field that refers to it says beside it."""
    rules = [*below.get("x-kubernetes-validations", []), *above.get("x-kubernetes-validations", [])]
    return below | above | ({"x-kubernetes-validations": rules} if rules else {})


def _union(branches: list[Schema]) -> Schema:
    """One schema for a value that fits any of these."""
    given = [branch for branch in branches if branch.get("type") != "null"]
    nullable = {"nullable": True} if len(given) < len(branches) else {}
    if len(given) == 1:
        return given[0] | nullable
    if all(branch.get("type") == "object" for branch in given):
        return _one_object(given) | nullable
    return _any_type(given) | nullable


def _one_object(branches: list[Schema]) -> Schema:
    """An object with the fields of all branches, of which just one branch holds."""
    properties: Schema = {}
    for name in dict.fromkeys(itertools.chain(*(branch["properties"] for branch in branches))):
        given = [branch["properties"][name] for branch in branches if name in branch["properties"]]
        merged = dict(given[0])
        if len(given) < len(branches):
            merged.pop("default", None)  # it would be filled into the other branches too
        if any(one.get("enum") != merged.get("enum") for one in given):  # the branches' tags
            merged["enum"] = [value for one in given for value in one["enum"]]
            merged["description"] = " ".join(one["description"] for one in given)
        properties[name] = merged
    shared = set.intersection(*(set(branch["required"]) for branch in branches))
    return {
        "type": "object",
        "description": " Or: ".join(branch["description"] for branch in branches),
        "properties": properties,
        "required": [name for name in properties if name in shared],
        "oneOf": [_branch(branch, properties) for branch in branches],
    }


def _branch(branch: Schema, properties: Schema) -> Schema:
    """What is true of one branch alone."""
    own = branch["properties"]
    value: Schema = {"required": branch["required"]}
    tags = {
        name: {"enum": own[name]["enum"]} for name in own if len(own[name].get("enum", "")) == 1
    }
    if tags:
        value["properties"] = tags
    others = [name for name in properties if name not in own]
    if others:
        value["not"] = {"anyOf": [{"required": [name]} for name in others]}
    return value


def _any_type(branches: list[Schema]) -> Schema:
    """No type: each keyword judges the values of its type, and types of no branch are refused."""
    value: Schema = {"x-kubernetes-preserve-unknown-fields": True}
    given: set[str] = set()
    for branch in branches:
        kept = dict(branch)
        if kept.pop("x-kubernetes-int-or-string", False):
            given |= {"string", "number"}
        else:
            given.add(kept.pop("type"))
        if "properties" in kept:
            value["anyOf"] = list(_only_known(kept))
        kept.pop("description", None)
        value |= kept
    for name in _ABSENT.keys() - given:
        value |= _ABSENT[name]
    return dict(sorted(value.items()))


def _only_known(branch: Schema) -> Iterator[Schema]:
    """Without a type the API server keeps unknown fields; counting the known ones refuses them."""
    required = branch["required"]
    optional = [name for name in branch["properties"] if name not in required]
    for chosen in _subsets(optional):
        yield {
            **({"required": chosen} if chosen else {}),
            "maxProperties": len(required) + len(chosen),
        }


def _subsets(names: list[str]) -> Iterable[list[str]]:
    sizes = range(len(names) + 1)
    return (list(some) for size in sizes for some in itertools.combinations(names, size))
