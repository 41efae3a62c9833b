"""What a real API server will not take, and that a look goes on all the same (`support.stage`)."""

import contextlib
import functools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scalingsweep_operator import resources
from scalingsweep_operator.resources import Object, Resource
from support.stage import Stage

pytestmark = pytest.mark.cluster

JOBS = "count/jobs.batch"
PYTORCH_JOBS = "count/pytorchjobs.kubeflow.org"
TRIALS = "count/scalingtrials.scalingsweep.dev"


def _quota(stage: Stage, **hard: int) -> None:
    """A quota that the API server heeds by now."""
    given = {name: str(count) for name, count in hard.items()}
    body = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": stage.namespace},
        "spec": {"hard": given},
    }
    kubectl = functools.partial(stage.server.kubectl, given=body)
    began = time.monotonic()
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-")

    def heeded() -> bool:
        if time.monotonic() - began > 5:
            # its controller learns of a new kind every half minute, and looks at a quota once
            kubectl("replace", "--force", "-f", "-")
            time.sleep(2)
        found = stage.server.kubectl.get("resourcequota", "few", f"--namespace={stage.namespace}")
        status = found.get("status", {})
        counted = hard.keys() <= status.get("used", {}).keys()
        return counted and bool(status["hard"] == given)

    stage.until(heeded, 120)


def test_a_full_quota_on_jobs_is_waited_for(stage: Stage) -> None:
    """Before prepare, where it was taken for a template that is refused; and before the fit."""
    stage.apply(retry={"limit": 0, "backoffSeconds": 0}, parallelTrialCount=100)
    _quota(stage, **{JOBS: 0})
    again = stage.look()
    assert again is not None
    assert again <= 60
    assert stage.condition("Progressing") == ("False", "QuotaExceeded")
    assert stage.condition("Planned") == ("Unknown", "Preparing")
    assert stage.condition("Failed")[0] == "False"
    assert stage.told("QuotaExceeded", "exceeded quota: few")
    before = stage.written()
    stage.look()
    assert stage.written() == before, "or each look would bring the next one about"
    _quota(stage, **{JOBS: 1})
    stage.look_until(lambda: bool(stage.newest("prepare")))
    stage.prepare()
    stage.train()
    assert stage.condition("Progressing") == ("False", "QuotaExceeded")
    _quota(stage, **{JOBS: 2})
    stage.look_until(lambda: bool(stage.newest("fit")))
    stage.fit()
    stage.settle()
    assert stage.status().phase == "Complete"


def test_a_full_quota_on_pytorch_jobs_spends_no_retry(stage: Stage) -> None:
    stage.apply(retry={"limit": 0, "backoffSeconds": 0}, parallelTrialCount=100)
    _quota(stage, **{PYTORCH_JOBS: 1})
    stage.prepare()
    assert len(stage.jobs()) == 1
    assert stage.condition("Progressing") == ("False", "QuotaExceeded")
    waiting = [name for name in stage.trials() if stage.job_of(name) not in stage.jobs()]
    assert len(waiting) == 3
    for trial in waiting:
        assert "QuotaExceeded" in stage.message(trial)
        assert stage.trials()[trial]["status"]["phase"] == "Pending"
        assert "class" not in stage.attempt(trial)
    counts = stage.status().trials
    assert counts is not None
    assert (counts.running, counts.pending) == (1, 5)
    before = stage.written()
    assert stage.look() is not None
    assert stage.written() == before
    (running,) = set(stage.trials()) - set(waiting)
    stage.run(stage.job_of(running))
    stage.settle()
    assert stage.condition("Progressing") == ("True", "Running"), "others train"
    _quota(stage, **{PYTORCH_JOBS: 100})
    stage.look_until(lambda: len(stage.jobs()) == 4)
    stage.settle()
    assert [stage.message(trial) for trial in waiting] == [""] * 3
    stage.finish()
    assert stage.status().progress == "6/6"
    assert all(len(t["status"]["attempts"]) == 1 for t in stage.trials().values())


def test_a_full_quota_on_scaling_trials_stops_no_other(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    _quota(stage, **{TRIALS: 2})
    stage.prepare()
    assert len(stage.trials()) == len(stage.jobs()) == 2
    assert stage.condition("Progressing") == ("False", "QuotaExceeded")
    assert stage.status().trials is not None
    _quota(stage, **{TRIALS: 100})
    stage.look_until(lambda: len(stage.jobs()) == 4)


@contextlib.contextmanager
def _policy(stage: Stage, resource: Resource, reason: str) -> Iterator[None]:
    """A policy against making such objects, in force."""
    name = stage.namespace
    group = "admissionregistration.k8s.io/v1"
    policy = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": _only(stage, resource),
            "validations": [{"expression": "false", "message": "not today", "reason": reason}],
        },
    }
    binding = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    with _in_force(stage, resource, policy, binding):
        yield


@contextlib.contextmanager
def _webhook(stage: Stage, resource: Resource) -> Iterator[None]:
    """A webhook that nobody serves, as Kueue's while it is upgraded."""
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": stage.namespace},
        "webhooks": [
            {
                "name": "nobody.scalingsweep.dev",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "namespaceSelector": _only(stage, resource)["namespaceSelector"],
                "rules": [{**each} for each in _only(stage, resource)["resourceRules"]],
            }
        ],
    }
    with _in_force(stage, resource, body):
        yield


def _only(stage: Stage, resource: Resource) -> dict[str, Any]:
    rule = {
        "apiGroups": [resource.group],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": [resource.plural],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}}
    return {"namespaceSelector": selector, "resourceRules": [rule]}


@contextlib.contextmanager
def _in_force(stage: Stage, resource: Resource, *bodies: Object) -> Iterator[None]:
    stage.server.kubectl.apply(*bodies)
    try:
        stage.until(lambda: not _takes(stage, resource), 60)
        yield
    finally:
        for body in bodies:
            stage.server.kubectl("delete", body["kind"], body["metadata"]["name"])
    stage.until(lambda: _takes(stage, resource), 60)


def _takes(stage: Stage, resource: Resource) -> bool:
    """Whether the API server would take an object of this kind."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}
    replica = {"replicas": 1, "template": template}
    spec = {"template": template, "pytorchReplicaSpecs": {"Master": replica}}
    kept = "template" if resource == resources.JOBS else "pytorchReplicaSpecs"
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "probe", "namespace": stage.namespace},
        "spec": {kept: spec[kept]},
    }
    answer = stage.client.ask("POST", resource.path(stage.namespace), body, dryRun="All")
    return bool(answer.status == 201)


def test_a_policy_that_may_be_lifted_is_waited_for(stage: Stage) -> None:
    stage.apply(retry={"limit": 0, "backoffSeconds": 0})
    with _policy(stage, resources.PYTORCH_JOBS, "Forbidden"):
        stage.prepare()
        assert stage.condition("Progressing") == ("False", "Refused")
        assert "not today" in stage.message("source/55k")
        assert stage.told("Refused", "not today")
        assert not stage.jobs()
    stage.look_until(lambda: len(stage.jobs()) == 2)


def test_a_policy_on_jobs_that_may_be_lifted_is_not_the_templates_fault(stage: Stage) -> None:
    with _policy(stage, resources.JOBS, "Forbidden"):
        stage.apply()
        stage.settle()
        assert stage.condition("Progressing") == ("False", "Refused")
        assert stage.status().phase == "Preparing"
        assert not stage.newest("prepare")
    stage.look_until(lambda: bool(stage.newest("prepare")))


def test_what_is_wrong_for_good_ends_the_attempt_and_not_the_look(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100, maxFailedTrialCount=100)
    with _policy(stage, resources.PYTORCH_JOBS, "Invalid"):
        stage.prepare()
        stage.settle()
    trials = stage.trials()
    assert len(trials) == 4
    for item in trials.values():
        assert [a["class"] for a in item["status"]["attempts"]] == ["BadConfiguration"]
        assert "not today" in item["status"]["message"]
    assert stage.status().phase == "Failed"


@pytest.mark.parametrize(
    "resource", [resources.JOBS, resources.PYTORCH_JOBS], ids=lambda kind: kind.plural
)
def test_a_webhook_that_does_not_answer_is_waited_for(stage: Stage, resource: Resource) -> None:
    stage.apply(retry={"limit": 0, "backoffSeconds": 0})
    if resource == resources.PYTORCH_JOBS:
        stage.look()
        stage.role_job("prepare")
    with _webhook(stage, resource):
        if resource == resources.PYTORCH_JOBS:
            stage.prepare()
        stage.look()
        assert stage.condition("Progressing") == ("False", "Refused")
        assert stage.told("Refused", "failed calling webhook")
    stage.look_until(lambda: bool(stage.jobs() or stage.newest("prepare")))
