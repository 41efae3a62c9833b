"""Objects of others that have the names of ours, on a real API server (`support.stage`)."""

from typing import Any

import pytest

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep_operator import names, resources
from scalingsweep_operator.resources import Object, Resource
from support.stage import Stage

pytestmark = pytest.mark.cluster


def _foreign(stage: Stage, kind: Resource, like: Object, **metadata: Any) -> None:
    """An object of somebody else's, of the same name."""
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": like["metadata"]["name"],
            "namespace": stage.namespace,
            **metadata,
        },
        "spec": like["spec"],
    }
    answer = stage.client.ask("POST", kind.path(stage.namespace), body)
    assert answer.status == 201, answer.message


LABELLED = pytest.mark.parametrize(
    "metadata", [{}, {"labels": {names.SWEEP: "small"}}], ids=["unlabelled", "labelled"]
)


def _again(stage: Stage, trial: str) -> Object:
    """A trial as it was made, once it and its job are gone and nobody has looked."""
    item = stage.trials()[trial]
    stage.delete(resources.TRIALS, item["metadata"]["name"])
    stage.until(lambda: trial not in stage.trials())
    stage.until(lambda: f"{item['metadata']['name']}-a1" not in stage.every_job())
    return item


@LABELLED
def test_a_scaling_trial_of_anothers_takes_a_name(stage: Stage, metadata: Any) -> None:
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    item = _again(stage, "source/55k")
    _foreign(stage, resources.TRIALS, item, **metadata)
    stage.settle()
    assert stage.condition("Progressing") == ("False", "NameTaken")
    assert stage.told("NameTaken", f"ScalingTrial {item['metadata']['name']}")
    stage.done("scratch/55k")
    stage.done("source/27k")
    stage.settle()
    status = stage.status()
    assert status.trials is not None
    assert status.trials.succeeded == 2, "the rest goes on"
    assert "cpt/27k" in stage.trials()
    stage.delete(resources.TRIALS, item["metadata"]["name"])
    stage.look_until(lambda: "status" in stage.trials().get("source/55k", {}))
    stage.finish()
    assert stage.status().progress == "6/6"


@LABELLED
def test_a_pytorch_job_of_anothers_takes_a_name(stage: Stage, metadata: Any) -> None:
    stage.apply(retry={"limit": 0, "backoffSeconds": 0})
    stage.prepare()
    name = stage.job_of("source/55k", 2)
    job = stage._read(resources.PYTORCH_JOBS, stage.job_of("source/55k"))
    job["metadata"]["name"] = name
    _foreign(stage, resources.PYTORCH_JOBS, job, **metadata)
    stage.run(stage.job_of("source/55k"))
    stage.end(stage.job_of("source/55k"), Outcome(klass=Class.PREEMPTED, message="a drain"))
    stage.settle()
    assert "NameTaken" in stage.message("source/55k")
    assert stage.told("NameTaken", f"PyTorchJob {name} is not this sweep's")
    assert stage.condition("Progressing") == ("False", "NameTaken")
    before = stage.written()
    stage.look()
    assert stage.written() == before
    stage.delete(resources.PYTORCH_JOBS, name)
    stage.look_until(lambda: "job" in stage.attempt("source/55k"))
    stage.settle()
    assert stage.attempt("source/55k")["number"] == 2
    assert stage.message("source/55k") == ""


def test_a_scaling_trial_that_cannot_be_read_takes_its_name(stage: Stage) -> None:
    """Ours by its owner; the API server takes budgets that are no whole steps, and we do not."""
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    item = _again(stage, "source/55k")
    spec = {**item["spec"], "budgets": [each + 1 for each in item["spec"]["budgets"]]}
    owner = names.owner(stage.sweep(), resources.SWEEPS)
    labels = {names.SWEEP: "small"}
    _foreign(stage, resources.TRIALS, item | {"spec": spec}, labels=labels, ownerReferences=[owner])
    stage.settle()
    assert stage.condition("Progressing") == ("False", "NameTaken")
    assert stage.told("NameTaken", "cannot be read")
    stage.done("scratch/55k")
    stage.settle()
    assert stage.trials()["scratch/55k"]["status"]["phase"] == "Succeeded"
