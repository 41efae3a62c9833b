"""Statuses that somebody has written by hand."""

import logging
from typing import Any

import pytest

from scalingsweep.api.scalingtrial import TrialAttempt, TrialStatus
from scalingsweep.api.status import SweepStatus
from scalingsweep_operator import clock, statuses, studies, trials
from scalingsweep_operator.resources import Object
from support import manifests
from support.gathered import gathered

GOOD: dict[str, Any] = {
    "observedGeneration": 3,
    "phase": "Running",
    "startTime": "2026-11-23T19:00:00Z",
    "usage": {"gpuHours": 812.4, "listedGpuHours": 12.4},
    "prepared": manifests.prepared().to_wire(),
    "preparedFor": "d" * 32,
}


def having(**changes: Any) -> Object:
    return {"metadata": {"name": "small"}, "status": GOOD | changes}


def test_what_can_be_read_is_read_as_it_is() -> None:
    assert statuses.of_sweep(having()).to_wire() == GOOD
    assert statuses.of_sweep({"metadata": {}}) == SweepStatus()
    assert statuses.of_sweep({"metadata": {}, "status": None}) == SweepStatus()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("startTime", "0000-01-01T00:00:00Z"),
        ("startTime", "2026-11-23T19:00:00+99:99"),
        ("completionTime", "0000-01-01T00:00:00Z"),
        ("conditions", [{"type": "Complete"}]),
        ("prepared", {"corpora": "none"}),
        ("phase", "Paused"),
        ("message", 5),
        ("of a later version", {}),
    ],
)
def test_one_field_that_cannot_be_read_spoils_no_other(
    field: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = statuses.of_sweep(having(**{field: value}))
    assert "the status of small is written anew" in caplog.text
    rest = {name: each for name, each in GOOD.items() if name not in {field, "observedGeneration"}}
    assert found.to_wire() == rest, "with no generation: whatever is written next differs"


def test_a_usage_that_cannot_be_read_begins_at_nothing() -> None:
    found = statuses.of_sweep(having(usage={"gpuHours": -1}))
    assert found.usage.gpu_hours == 0
    assert found.prepared == manifests.prepared()


def test_a_trial_with_a_spoilt_status_is_still_ours(study: studies.Study) -> None:
    """It was taken for one of a later version, and its name for taken."""
    attempt = TrialAttempt(number=1, start_time=clock.stamp(100), job="job", gpu_seconds=50)
    there = gathered(study, attempt)
    (item,) = there.trials.values()
    item["status"] |= {"earlierGpuSeconds": 70, "progress": {"step": "many"}}
    (trial,) = trials.of(there, study, 1000.0).values()
    assert [each.number for each in trial.recorded.attempts] == [1]
    assert trial.recorded.earlier_gpu_seconds == 70
    item["status"]["attempts"][0]["startTime"] = "0000-01-01T00:00:00Z"
    (trial,) = trials.of(there, study, 1000.0).values()
    assert trial.recorded == TrialStatus(earlier_gpu_seconds=70)


def test_one_attempt_that_cannot_be_read_spoils_no_other(study: studies.Study) -> None:
    used = [
        TrialAttempt(number=number, start_time=clock.stamp(100), job="job", gpu_seconds=50)
        for number in (1, 2, 3)
    ]
    there = gathered(study, *used)
    (item,) = there.trials.values()
    item["status"]["attempts"][1]["startTime"] = "0000-01-01T00:00:00Z"
    (trial,) = trials.of(there, study, 1000.0).values()
    assert trial.recorded.attempts == (used[0], used[2])


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_time_at_the_end_of_all_times_ends_no_look(study: studies.Study, time: str) -> None:
    attempt = TrialAttempt(number=1, start_time=clock.stamp(100), job="job")
    there = gathered(study, attempt)
    (item,) = there.trials.values()
    item["status"]["attempts"][0] |= {"countedTime": time, "startTime": time}
    (trial,) = trials.of(there, study, 1000.0).values()
    (found,) = TrialStatus.from_wire(trial.status.to_wire()).attempts
    assert found.class_ is not None
