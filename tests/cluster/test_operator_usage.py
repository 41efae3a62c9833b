"""GPU time and results outlive what is deleted or overwritten (`support.stage`)."""

import time

import pytest

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep_operator import clock, resources
from support.stage import Stage, now

pytestmark = pytest.mark.cluster


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
