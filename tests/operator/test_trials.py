"""A ScalingTrial's record, brought up to date from its jobs and pods."""

import dataclasses
import uuid

from scalingsweep.api.scalingtrial import TrialAttempt
from scalingsweep_operator import clock, studies, trials
from support.cluster_pods import pod
from support.gathered import gathered, job

NOW = 1000.0


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


def _gives_up(study: studies.Study, uid: str, *, nodes: int) -> int:
    """Seconds after its job was made at which an attempt without its pods is over."""
    there = gathered(study, TrialAttempt(number=1, start_time=clock.stamp(100), job=uid))
    (item,) = there.trials.values()
    made = job(item, number=1)
    made["metadata"]["uid"] = uid
    made["spec"]["pytorchReplicaSpecs"]["Worker"] = {"replicas": nodes - 1}
    half = dataclasses.replace(
        there,
        pytorch_jobs={made["metadata"]["name"]: made},
        pods={uid: (pod("worker-0", owner=uid, running=False),)},
    )
    for waited in range(3600):
        (trial,) = trials.of(half, study, 100.0 + waited).values()
        if trial.status.attempts[0].class_ is not None:
            assert "within 1800 s" in trial.status.attempts[0].message
            return waited
    raise AssertionError("never")


def test_jobs_that_wait_for_each_other_do_not_give_up_at_one_moment(study: studies.Study) -> None:
    assert _gives_up(study, "any", nodes=1) == 1800
    uids = [str(uuid.UUID(int=number)) for number in range(5)]
    found = [_gives_up(study, uid, nodes=2) for uid in uids]
    assert len(set(found)) == len(found)
    assert all(1800 <= each <= 2250 for each in found)
