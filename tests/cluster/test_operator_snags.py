"""What a real API server will not take, and that a look goes on all the same (`support.stage`)."""

import contextlib
import functools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep_operator import clock, names, resources
from scalingsweep_operator.resources import Object, Resource
from support.stage import Stage, now

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


def _told(stage: Stage, reason: str, words: str) -> bool:
    return any(r == reason and words in note for r, note in stage.events())


def _message(stage: Stage, trial: str) -> str:
    return str(stage.trials()[trial]["status"].get("message", ""))


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
    assert _told(stage, "QuotaExceeded", "exceeded quota: few")
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
        assert "QuotaExceeded" in _message(stage, trial)
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
    assert [_message(stage, trial) for trial in waiting] == [""] * 3
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
        assert "not today" in _message(stage, "source/55k")
        assert _told(stage, "Refused", "not today")
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
        assert _told(stage, "Refused", "failed calling webhook")
    stage.look_until(lambda: bool(stage.jobs() or stage.newest("prepare")))


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
    assert _told(stage, "NameTaken", f"ScalingTrial {item['metadata']['name']}")
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
    assert "NameTaken" in _message(stage, "source/55k")
    assert _told(stage, "NameTaken", f"PyTorchJob {name} is not this sweep's")
    assert stage.condition("Progressing") == ("False", "NameTaken")
    before = stage.written()
    stage.look()
    assert stage.written() == before
    stage.delete(resources.PYTORCH_JOBS, name)
    stage.look_until(lambda: "job" in stage.attempt("source/55k"))
    stage.settle()
    assert stage.attempt("source/55k")["number"] == 2
    assert _message(stage, "source/55k") == ""


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
    assert _told(stage, "NameTaken", "cannot be read")
    stage.done("scratch/55k")
    stage.settle()
    assert stage.trials()["scratch/55k"]["status"]["phase"] == "Succeeded"


@pytest.mark.parametrize("time_", ["0000-01-01T00:00:00Z", "2026-11-23T19:00:00+99:99"])
def test_a_status_that_was_written_by_hand_is_written_anew(stage: Stage, time_: str) -> None:
    """The API server takes these times."""
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    stage.run(stage.job_of("source/55k"))
    time.sleep(2)
    stage.done("source/55k")
    stage.settle()
    hours = stage.status().usage.gpu_hours
    assert hours > 0
    name = stage.trials()["source/55k"]["metadata"]["name"]
    for kind, named, status in (
        (resources.SWEEPS, "small", {"suspendedSince": time_}),
        (resources.TRIALS, name, {"attempts": [{"number": 1, "startTime": time_}]}),
    ):
        path = kind.path(stage.namespace, named, "status")
        answer = stage.client.ask("PATCH", path, {"status": status})
        assert answer.status == 200, answer.message
    stage.settle()
    assert stage.sweep()["status"].get("suspendedSince") is None
    assert stage.status().usage.gpu_hours >= hours
    assert stage.attempt("source/55k")["class"] == "Done"
    stage.finish()
    assert stage.status().progress == "6/6"


def _between(start: str, end: str) -> float:
    """Seconds from one time of a pod's status to another."""
    times = [clock.seconds(each) for each in (start, end)]
    assert times[0] is not None
    assert times[1] is not None
    return times[1] - times[0]


@pytest.mark.parametrize("mortal", [False, True], ids=["lives on", "dies after every write"])
def test_gpu_time_of_a_trial_that_no_plan_has_is_counted_before_it_goes(
    stage: Stage, mortal: bool
) -> None:
    """Its pod holds on to its GPU until the very look at which the trial may go."""
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    job = stage.job_of("scratch/55k")
    stage.run(job)
    stage.settle()
    (pod,) = stage.pods(job)
    stage.stay(pod)
    stage.edit(model={"sizes": ["27k"]})
    stage.prepare()
    time.sleep(4)
    assert "scratch/55k" in stage.trials(), "its pod is alive"
    stage.one_write_a_life = mortal
    end = now()
    ended = {"exitCode": 1, "reason": "Error", "startedAt": end, "finishedAt": end}
    stage.container(pod, "Failed", {"terminated": ended})
    used = _between(pod["status"]["startTime"], end)
    stage.look_until(lambda: "scratch/55k" not in stage.trials())
    stage.settle()
    assert used >= 4
    assert stage.status().usage.gpu_hours * 3600 >= used - 1
    stage.stay(pod, False)


def test_gpu_time_is_counted_before_the_ttl_removes_it(stage: Stage) -> None:
    stage.apply(ttlSecondsAfterFinished=0, maxFailedTrialCount=0, parallelTrialCount=1)
    stage.prepare()
    job = stage.job_of("source/55k")
    stage.run(job)
    stage.settle()
    time.sleep(4)
    stage.end(job, Outcome(klass=Class.DIVERGED, message="why"))
    (status,) = [pod["status"] for pod in stage.pods(job)]
    (container,) = status["containerStatuses"]
    used = _between(status["startTime"], container["state"]["terminated"]["finishedAt"])
    stage.look_until(lambda: not stage.trials())
    assert stage.condition("BudgetExceeded") == ("True", "MaxFailed")
    assert used >= 4
    assert stage.status().usage.gpu_hours * 3600 >= used - 1
