"""A ScalingTrial's record, brought up to date from its jobs and pods."""

import dataclasses

import pytest

from scalingsweep import resolve
from scalingsweep.api.scalingtrial import TrialAttempt
from scalingsweep_operator import clock, names, resources, studies, trials
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.resources import Object
from support import manifests
from support.cluster_pods import pod
from support.stage import spec as cluster_spec

NOW = 1000.0


@pytest.fixture(scope="module")
def study() -> studies.Study:
    body = manifests.whole(cluster_spec())
    return studies.read({**body, "metadata": {"name": "small", "namespace": "research"}})


def gathered(study: studies.Study, attempt: TrialAttempt) -> Gathered:
    """One trial whose attempt's job is gone."""
    spec = next(iter(resolve.trials(study.plan, manifests.prepared()).values()))
    sweep: Object = {"metadata": {"name": "small", "namespace": "research", "uid": "sweep"}}
    item: Object = {
        "metadata": {
            "name": names.trial("small", spec.id),
            "uid": "trial",
            "ownerReferences": [names.owner(sweep, resources.SWEEPS)],
        },
        "spec": spec.to_wire(),
        "status": {"attempts": [attempt.to_wire()]},
    }
    return Gathered(
        sweep=sweep,
        trials={item["metadata"]["name"]: item},
        leaving=frozenset(),
        pytorch_jobs={},
        trains=True,
        jobs=(),
        pods={},
    )


def test_pods_that_outlive_their_job_keep_the_attempt_open(study: studies.Study) -> None:
    """They save in their grace and hold their GPUs: another attempt would drive them out."""
    left = gathered(study, TrialAttempt(number=1, start_time=clock.stamp(100), job="job"))
    saving = dataclasses.replace(left, pods={"job": (pod(gpus=8, deadline=1100.0),)})
    (trial,) = trials.of(saving, study, NOW).values()
    (attempt,) = trial.status.attempts
    assert attempt.class_ is not None
    assert attempt.end_time is None
    assert attempt.gpu_seconds == 8 * (1000 - 110)
    (trial,) = trials.of(left, study, NOW).values()
    assert trial.status.attempts[0].end_time is not None
