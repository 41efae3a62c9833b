"""crds/ is what the wire types say, and every field of it teaches, is bounded and has a type.

Whether an API server takes it is asked in tests/cluster/test_crds.py.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hack import chart_crds, crds

from scalingsweep import manifest
from support import every_field

KINDS = pytest.mark.parametrize("kind", crds.RESOURCES, ids=lambda kind: kind.plural)


def _root(kind: crds.Resource) -> dict[str, Any]:
    (version,) = crds.definition(kind)["spec"]["versions"]
    root: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return root


def _nodes(node: dict[str, Any], at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node that a value can stand at; junctors hold none."""
    yield at, node
    for name, inner in node.get("properties", {}).items():
        if (at, name) != ("", "metadata"):  # Kubernetes' own
            yield from _nodes(inner, f"{at}.{name}".lstrip("."))
    if "items" in node:
        yield from _nodes(node["items"], f"{at}[]")


@KINDS
def test_the_file_is_what_the_types_say_and_small(kind: crds.Resource) -> None:
    file = crds.OUT / f"{kind.plural}.yaml"
    assert file.read_text("utf-8") == crds.text(kind), f"{file.name}: run `make generate`"
    assert yaml.safe_load(crds.text(kind)) == crds.definition(kind)
    assert file.stat().st_size < 100_000
    assert {path.name for path in crds.OUT.iterdir()} == {
        f"{k.plural}.yaml" for k in crds.RESOURCES
    }


@KINDS
def test_every_field_is_described(kind: crds.Resource) -> None:
    bare = [at for at, node in _nodes(_root(kind)) if not node.get("description")]
    assert not [at for at in bare if not at.endswith("[]")]


@KINDS
def test_every_field_has_a_type_and_bounds(kind: crds.Resource) -> None:
    for at, node in _nodes(_root(kind)):
        if node.get("x-kubernetes-int-or-string"):
            assert "type" not in node, at
            assert node["maxLength"] <= 24, at
            continue
        if "type" not in node:
            assert node["x-kubernetes-preserve-unknown-fields"], at
            continue
        match node["type"]:
            case "array":
                assert node["maxItems"] <= 128, at
                assert "items" in node, at
            case "string" if at not in {"apiVersion", "kind"}:
                bounded = node.keys() & {"enum", "maxLength"} or node.get("format") == "date-time"
                assert bounded or re.search(r"\{\d+\}\$$", node.get("pattern", "")), at
            case "object":
                assert "properties" in node or node["x-kubernetes-preserve-unknown-fields"], at
                assert set(node.get("required", ())) <= node.get("properties", {}).keys(), at


@KINDS
def test_no_keyword_that_an_api_server_refuses(kind: crds.Resource) -> None:
    refused = {"$ref", "$defs", "const", "title", "prefixItems", "additionalProperties", "ge", "le"}
    for at, node in _nodes(_root(kind)):
        assert not refused & node.keys(), at
        assert node.get("default", "given") is not None, at
        assert node.get("type") != "null", at
        assert type(node.get("exclusiveMinimum", True)) is bool, at


@KINDS
def test_a_rule_blames_a_field_that_there_is(kind: crds.Resource) -> None:
    count = 0
    for at, node in _nodes(_root(kind)):
        for rule in node.get("x-kubernetes-validations", ()):
            count += 1
            found = node
            for name in rule.get("fieldPath", "").split(".")[1:]:
                found = found["properties"][name]
            assert rule["message"][0] != rule["message"][0].upper() or at == "", rule["message"]
    assert count >= {"scalingsweeps": 30, "scalingtrials": 2}[kind.plural]


def test_columns_show_fields_that_there_are() -> None:
    for kind in crds.RESOURCES:
        for column in kind.columns:
            node = _root(kind)
            for name in column.path.split(".")[1:]:
                if name == "metadata":
                    break
                node = node["properties"][name]
            else:
                assert node["type"] == column.type, column.name


def test_lists_that_merge_by_name() -> None:
    kinds = {
        at: (node["x-kubernetes-list-type"], node.get("x-kubernetes-list-map-keys"))
        for at, node in _nodes(_root(crds.RESOURCES[0]))
        if "x-kubernetes-list-type" in node
    }
    assert kinds == {
        "spec.corpora": ("map", ["name"]),
        "spec.arms": ("map", ["name"]),
        "spec.training.seeds": ("set", None),
        "spec.fit.laws": ("set", None),
        "status.conditions": ("map", ["type"]),
    }


@pytest.mark.parametrize("name", every_field.manifests())
def test_the_manifests_of_every_field_are_good(name: str) -> None:
    manifest.parse(yaml.safe_dump(every_field.manifests()[name]))


def test_every_field_is_used_by_some_manifest() -> None:
    used: set[str] = set()

    def walk(value: Any, at: str) -> None:
        used.add(at)
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{at}.{key}")
        elif isinstance(value, list):
            for inner in value:
                walk(inner, f"{at}[]")

    for value in every_field.manifests().values():
        walk(value["spec"], "spec")
    fields = {at for at, _ in _nodes(_root(crds.RESOURCES[0])) if at.startswith("spec")}
    assert fields <= used


@KINDS
def test_the_chart_has_the_same_definition(kind: crds.Resource) -> None:
    file = chart_crds.OUT / f"{kind.plural}.yaml"
    assert file.read_text("utf-8") == chart_crds.text(kind), f"{file.name}: run `make generate`"
    assert crds.text(kind).split("metadata:\n", 1)[1] in file.read_text("utf-8")
