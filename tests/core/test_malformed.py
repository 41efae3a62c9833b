"""What the reader of files says of the manifests that both back ends refuse.

What an API server says of them is asked in tests/cluster/test_refusals.py.
"""

import json

import pytest

from scalingsweep import manifest, plan
from scalingsweep.errors import SpecError
from support import every_field, malformed


@pytest.mark.parametrize("case", malformed.CASES, ids=[case.name for case in malformed.CASES])
def test_it_names_the_field_and_the_mend(case: malformed.Case) -> None:
    text = json.dumps(case.manifest())
    if case.cluster_only:
        manifest.parse(text)
        return
    with pytest.raises(SpecError) as caught:
        manifest.parse(text)
    assert str(caught.value).startswith(case.field)
    assert case.says in str(caught.value)


@pytest.mark.parametrize("name", every_field.manifests())
def test_without_the_mistake_it_is_good(name: str) -> None:
    assert plan.make(manifest.parse(json.dumps(every_field.manifests()[name])).spec).trials


@pytest.mark.parametrize(("written", "tokens_per_parameter"), [("0.5", 0.5), (20, 20), ("20", 20)])
def test_a_source_budget_is_named_as_it_is_written(
    written: str | int, tokens_per_parameter: float
) -> None:
    value = every_field.manifests()["wsd"]
    value["spec"]["arms"][0]["budgets"] = {"tokensPerParameter": [0.5, 20]}
    value["spec"]["arms"][2]["init"]["budget"] = written
    value["spec"]["training"]["schedule"]["warmup"] = {"tokensPerParameter": 0.01}
    trials = plan.make(manifest.parse(json.dumps(value)).spec).trials
    found = [trial.source.tokens / trial.size.N for trial in trials if trial.source]
    assert found == [pytest.approx(tokens_per_parameter, rel=0.05)] * 6


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("many", "'many' is not a count: write digits with k, M, B or T, as 50M"),
        (0.5, '0.5 is not whole: quote it, as "0.5"'),
        ("0.0", "'0.0' is not a count: it must be at least 1"),
    ],
)
def test_a_source_budget_that_is_none(written: str | float, says: str) -> None:
    value = every_field.manifests()["wsd"]
    value["spec"]["arms"][2]["init"]["budget"] = written
    with pytest.raises(SpecError) as caught:
        manifest.parse(json.dumps(value))
    assert str(caught.value) == f"spec.arms[2].init.budget: {says}"
