"""A real API server refuses what the reader of files refuses, and names the same field."""

import json
import re
from typing import Any

import pytest
from hack import crds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalingsweep import manifest
from scalingsweep.errors import SpecError
from support import apiserver, every_field, malformed
from support.resources import SWEEPS

pytestmark = pytest.mark.cluster

GOOD = every_field.manifests()


@pytest.mark.parametrize("case", malformed.CASES, ids=[case.name for case in malformed.CASES])
def test_the_server_refuses_it_and_names_the_field(
    case: malformed.Case, server: apiserver.Client
) -> None:
    answer = server.ask("POST", SWEEPS, case.manifest(), dryRun="All")
    assert answer.status in {400, 422}
    assert (case.at or case.field) in answer.message
    assert case.says in answer.message  # tests/core/test_malformed.py asks the reader of files


def test_there_are_many_of_them() -> None:
    assert len(malformed.CASES) >= 100
    assert len({case.name for case in malformed.CASES}) == len(malformed.CASES)


Place = tuple[str, tuple[str | int, ...], dict[str, Any]]


def _places() -> list[Place]:
    """(manifest, path, schema) of everything that stands in a good manifest."""
    (version,) = crds.definition(crds.RESOURCES[0])["spec"]["versions"]
    root = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found: list[Place] = []

    def walk(name: str, path: tuple[str | int, ...], value: Any, node: dict[str, Any]) -> None:
        found.append((name, path, node))
        if isinstance(value, dict) and "properties" in node:
            for key, inner in value.items():
                walk(name, (*path, key), inner, node["properties"][key])
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                walk(name, (*path, index), inner, node["items"])

    for name, value in GOOD.items():
        walk(name, ("spec",), value["spec"], root)
    return found


PLACES = _places()
_WORD = st.text("abcdefghijklmnopqrstuvwxyz !/%", min_size=1, max_size=12)


def _wrong(value: Any, node: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that may not stand there."""
    kinds: list[st.SearchStrategy[Any]] = []
    match node.get("type", "any"):
        case "string":
            kinds += [st.sampled_from([7, 1.5, True, [], {"a": 1}])]
            if "enum" in node:
                kinds += [_WORD.filter(lambda word: word not in node["enum"])]
            if "pattern" in node:
                kinds += [_WORD.filter(lambda word: not re.search(node["pattern"], word))]
            if "maxLength" in node:
                kinds += [st.integers(1, 9).map(lambda n: "a" * (node["maxLength"] + n))]
            if node.get("minLength"):
                kinds += [st.just("")]
        case "integer" | "number" as kind:
            kinds += [_WORD, st.sampled_from(["8", True, [], {"a": 1}])]
            step = 1 if kind == "integer" else 0.125
            if kind == "integer":
                kinds += [st.integers(1, 9).map(lambda n: n + 0.5)]
            if "minimum" in node:
                start = node["minimum"] - (0 if node.get("exclusiveMinimum") else step)
                kinds += [st.integers(0, 9).map(lambda n: start - n * step)]
            if "maximum" in node:
                end = node["maximum"] + (0 if node.get("exclusiveMaximum") else step)
                kinds += [st.integers(0, 9).map(lambda n: end + n * step)]
        case "boolean":
            kinds += [st.sampled_from(["maybe", "true", 1, [], {"a": 1}])]
        case "array":
            kinds += [st.sampled_from(["text", 7, {"a": 1}])]
            kinds += [st.integers(1, 9).map(lambda n: value[:1] * (node["maxItems"] + n))]
            if node.get("minItems"):
                kinds += [st.just([])]
        case "object":
            kinds += [st.sampled_from(["text", 7, [1]])]
            if "properties" in node:
                kinds += [_WORD.map(lambda word: value | {f"x{word}": 1})]
            for name in node.get("required", ()):
                kinds += [st.just({key: item for key, item in value.items() if key != name})]
        case _ if isinstance(value, str | int | float):  # a count, where text may stand too
            kinds += [_WORD, st.integers(-9, 0), st.sampled_from([[], True, "50X", "-1", ""])]
        case _ if isinstance(value, dict):  # a shape or a preset
            kinds += [_WORD.map(lambda word: value | {f"x{word}": 1}), st.sampled_from([True, {}])]
        case _:  # sizes
            kinds += [_WORD, st.sampled_from([True, [], {}, 7])]
    return st.one_of(kinds)


def test_every_place_is_known_to_the_schema() -> None:
    assert len(PLACES) > 200


@settings(
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_both_back_ends_refuse_what_may_not_stand_somewhere(
    server: apiserver.Client, data: st.DataObject
) -> None:
    name, path, node = data.draw(st.sampled_from(PLACES))
    value = every_field.manifests()[name]
    holder: Any = value
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = data.draw(_wrong(holder[path[-1]], node))
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
    answer = server.ask("POST", SWEEPS, value, dryRun="All")
    assert answer.status in {400, 422}
    assert field in answer.message
    with pytest.raises(SpecError) as caught:
        manifest.parse(json.dumps(value))
    assert str(caught.value).startswith(field)
