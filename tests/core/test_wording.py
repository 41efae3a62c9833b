import json
from typing import Any

import pytest

from scalingsweep.api import wording
from scalingsweep.api.arms import Arm
from scalingsweep.api.model import Model
from scalingsweep.api.sweep import ScalingSweep
from scalingsweep.errors import SpecError


def test_every_pattern_of_the_manifest_has_words() -> None:
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update(v for k, v in value.items() if k == "pattern" and isinstance(v, str))
            list(map(walk, value.values()))
        elif isinstance(value, list):
            list(map(walk, value))

    walk(ScalingSweep.model_json_schema())
    assert found
    assert found <= wording.PATTERNS.keys(), json.dumps(sorted(found - wording.PATTERNS.keys()))


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        (["27k", "50X"], "sizes[1]: '50X' is not a count"),
        ("27k", "sizes: must be a list, not '27k'"),
        ([], "sizes: is empty: give at least 1"),
        ([{"name": "a", "hiddenSize": 8}], "sizes[0].intermediateSize: is required"),
        ([{"name": "a", "hidden": 8}], "hidden"),
        ({"preset": "zheng2025"}, "sizes.preset: must be 'zheng2024'"),
        ({"preset": "zheng2024", "form": "1B"}, "sizes.form: unknown field; did you mean from?"),
    ],
)
def test_of_several_complaints_the_one_meant_is_told(sizes: Any, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        Model.from_wire({"contextLength": 128, "sizes": sizes})
    assert says in str(caught.value)


def test_an_unknown_field_deep_inside_is_compared_with_its_neighbours() -> None:
    arm = {"name": "cpt", "corpus": "fr", "init": {"arm": "source"}, "replay": {"corpsu": "en"}}
    with pytest.raises(SpecError, match=r"^at\.replay\."):
        Arm.from_wire(arm, at="at")
    with pytest.raises(SpecError, match=r"replay\.rate: unknown field; did you mean ratio\?"):
        Arm.from_wire({**arm, "replay": {"corpus": "en", "ratio": 0.1, "rate": 0.1}})
