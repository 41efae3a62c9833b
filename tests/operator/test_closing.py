"""What is left of a sweep that has ended, and when."""

import asyncio
import dataclasses
from typing import Any

import pytest

from scalingsweep.api.scalingtrial import TrialAttempt
from scalingsweep.api.status import Phase, SweepStatus, Usage
from scalingsweep_operator import clock, closing, faults, ledger, resources, studies
from scalingsweep_operator.api import Api
from scalingsweep_operator.gather import Gathered
from support.gathered import gathered

ENDED = 1000.0
TTL = 60


def _left(study: studies.Study, seconds: float) -> Gathered:
    """A sweep that has ended, and whose one trial has used so much."""
    attempt = TrialAttempt(number=1, start_time=clock.stamp(100), gpu_seconds=seconds)
    there = gathered(study, attempt)
    metadata = {**there.sweep["metadata"], "generation": 2}
    spec = {"ttlSecondsAfterFinished": TTL}
    return dataclasses.replace(there, sweep={"metadata": metadata, "spec": spec})


def _status(seconds: float, **changes: Any) -> SweepStatus:
    values: dict[str, Any] = {
        "phase": Phase.FAILED,
        "observed_generation": 2,
        "completion_time": clock.stamp(ENDED),
        "usage": Usage(gpu_hours=1000, listed_gpu_hours=ledger.hours(seconds)),
    }
    return SweepStatus(**(values | changes))


@pytest.mark.parametrize(
    ("listed", "changes", "after", "closed"),
    [
        (7234.5, {}, TTL, True),
        (7234.5, {}, TTL - 1, False),
        (7234.5, {"observed_generation": 1}, TTL, False),
        (7234.5, {"phase": Phase.FITTING}, TTL, False),
        (7204.5, {}, TTL, False),
        (9999.0, {}, TTL, True),
    ],
    ids=["over", "early", "edited", "works", "uncounted", "another's time"],
)
def test_children_go_when_it_is_time_and_their_time_is_counted(
    study: studies.Study, listed: float, changes: dict[str, Any], after: float, closed: bool
) -> None:
    there = _left(study, 7234.5)
    assert closing.closed(there, _status(listed, **changes), ENDED + after) == closed


def test_a_trial_that_is_not_ours_to_read_holds_nothing_up(study: studies.Study) -> None:
    there = _left(study, 7234.5)
    (item,) = there.trials.values()
    item["spec"]["budgets"] = ["some"]
    assert closing.closed(there, _status(0.0), ENDED + TTL)


class _Guarded:
    """An API server with a policy against deleting one object."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.deleted: list[str] = []
        self.told: list[str] = []

    async def delete(self, _resource: object, _namespace: str, name: str, *, uid: str) -> bool:
        if name == self.name:
            raise faults.Refused(f"{name} stays", code=403)
        self.deleted.append(name)
        return True

    async def create(self, _resource: object, _namespace: str, body: Any) -> None:
        self.told.append(body["note"])


def test_one_that_may_not_be_deleted_keeps_no_other(study: studies.Study) -> None:
    there = _left(study, 1.0)
    (name,) = there.trials
    job = {"metadata": {"name": "small-prepare", "uid": "j"}, "kind": resources.JOBS.kind}
    there = dataclasses.replace(there, jobs=(job,))
    guarded = _Guarded(name)
    api: Api = guarded  # type: ignore[assignment] # two of its methods are called
    asyncio.run(closing.clear(api, "research", there))
    assert guarded.deleted == ["small-prepare"]
    assert guarded.told == [f"{name} stays"]
