"""A ScalingTrial's record, brought up to date from its jobs and pods."""

import dataclasses

from scalingsweep.api.scalingtrial import TrialAttempt
from scalingsweep_operator import clock, studies, trials
from support.cluster_pods import pod
from support.gathered import gathered

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
