"""Numbers that come from pods, labels and annotations: what types take, the API server takes."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hack import crds

from scalingsweep.api.attempt import MOST_HALVINGS, MOST_NUMBER
from scalingsweep.api.outcome import Outcome
from scalingsweep.errors import SpecError
from scalingsweep_operator import names, studies, trials
from scalingsweep_operator.resources import Object
from support import manifests
from support.gathered import gathered, job

MOST = 10**18
"""A whole number of 64 bits, and far from where the API server reads it as a float."""


def _integers(node: dict[str, Any], at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in node.get("properties", {}).items():
        yield from _integers(inner, f"{at}.{name}")
    if "items" in node:
        yield from _integers(node["items"], f"{at}[]")
    if node.get("type") == "integer":
        yield at, node


@pytest.mark.parametrize("kind", crds.RESOURCES, ids=lambda kind: kind.plural)
def test_every_whole_number_of_a_status_has_an_end(kind: crds.Resource) -> None:
    (version,) = crds.definition(kind)["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    found = dict(_integers(status, "status"))
    assert len(found) > 5
    for at, node in found.items():
        assert 0 <= node["minimum"] < node["maximum"] <= MOST, at


@pytest.mark.parametrize(
    "changed",
    [
        {"prepared": {**manifests.prepared().to_wire(), "vocabSize": 10**30}},
        {
            "prepared": {
                **manifests.prepared().to_wire(),
                "corpora": [
                    {**c.to_wire(), "tokens": 10**19} for c in manifests.prepared().corpora
                ],
            }
        },
        {"fit": {"observations": 10**19, "missing": 0, "report": "report.html"}},
        {"fit": {"observations": 1, "missing": 10**19, "report": "report.html"}},
    ],
    ids=["vocabulary", "tokens", "observations", "missing"],
)
def test_an_outcome_that_no_status_can_hold_is_none(changed: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="must be at most"):
        Outcome.from_wire({"class": "Done", **changed})


@pytest.mark.parametrize("number", ["0", "1" * 6, "9" * 60, "1" * 5000, "-1", "١", ""])
def test_a_label_that_numbers_no_attempt_of_ours(number: str) -> None:
    assert names.number({"metadata": {"labels": {names.ATTEMPT: number}}}) is None


def test_the_last_number_is_one() -> None:
    labels = {names.ATTEMPT: str(MOST_NUMBER)}
    assert names.number({"metadata": {"labels": labels}}) == MOST_NUMBER
    assert len(names.attempt("s" * 35 + "-12345678", MOST_NUMBER) + "-worker-127") <= 63


@pytest.mark.parametrize("text", ["1" * 5000, "9" * 60, "33", "x"])
def test_annotations_of_a_job_that_are_nonsense_are_read_all_the_same(
    study: studies.Study, text: str
) -> None:
    """The status is empty: everything of the attempt is read from its job."""
    there = gathered(study)
    (trial,) = there.trials.values()
    strange: Object = job(trial, number=1, halvings=text, asked=text)
    there = dataclasses.replace(there, pytorch_jobs={strange["metadata"]["name"]: strange})
    (found,) = trials.of(there, study, 1000.0).values()
    (attempt,) = found.status.attempts
    assert attempt.job == "job"
    assert attempt.halvings in {0, MOST_HALVINGS}
