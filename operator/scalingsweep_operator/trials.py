"""The ScalingTrials of a sweep as they are now: the record brought up to date. Pure.

`reconcile` asks once a look; what the record says of attempts is `ledger`'s.
"""

import dataclasses
import zlib
from collections.abc import Mapping

from scalingsweep.api.attempt import MOST_HALVINGS
from scalingsweep.api.scalingtrial import TrialAttempt, TrialStatus
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import SpecError
from scalingsweep.plan import Key
from scalingsweep_operator import clock, ending, ledger, names, pytorchjob, statuses
from scalingsweep_operator.ending import Evidence
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.jobstate import Finished
from scalingsweep_operator.resources import Object
from scalingsweep_operator.studies import Study
from scalingsweep_operator.vitals import Vitals, Waiting

MOST_SPREAD = 0.25
"""How much longer than startDeadline a job of several nodes may wait."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A ScalingTrial with what its attempts have come to."""

    item: Object
    spec: TrialSpec
    recorded: TrialStatus
    """As the API server has it."""
    status: TrialStatus
    """With what is new."""
    seen: Mapping[int, ledger.Seen]
    obstacle: Waiting | None = None
    """Why its pods do not run yet, where they tell."""

    @property
    def name(self) -> str:
        """The ScalingTrial's."""
        return str(self.item["metadata"]["name"])

    @property
    def key(self) -> Key:
        """What tells it from the others of its sweep."""
        budget = self.spec.budgets[0] if self.spec.schedule.type == "cosine" else None
        spec = self.spec
        return Key(arm=spec.arm, size=spec.size, seed=spec.seed, budget=budget)

    @property
    def open(self) -> TrialAttempt | None:
        """The attempt that has not ended, if there is one."""
        attempts = [attempt for attempt in self.status.attempts if attempt.end_time is None]
        return attempts[-1] if attempts else None

    @property
    def trains(self) -> bool:
        """Whether all its pods run."""
        attempt = self.open
        return attempt is not None and attempt.class_ is None and bool(attempt.running_time)


def of(gathered: Gathered, study: Study, now: float) -> dict[str, Trial]:
    """Every ScalingTrial with its record brought up to date, by name."""
    deadline = study.start_deadline
    return {
        name: trial
        for name, item in gathered.trials.items()
        if (trial := _trial(item, gathered, deadline, now)) is not None
    }


def recorded(item: Object) -> TrialStatus | None:
    """What a ScalingTrial has recorded; None of one that is not ours to touch."""
    return None if _spec(item) is None else statuses.of_trial(item)


def _spec(item: Object) -> TrialSpec | None:
    try:
        return TrialSpec.from_wire(item["spec"])
    except SpecError:
        return None  # of a later version, or written by hand


def _trial(item: Object, gathered: Gathered, start_deadline: float, now: float) -> Trial | None:
    spec = _spec(item)
    if spec is None:
        return None
    recorded = statuses.of_trial(item)
    seen = _seen(item, recorded, gathered)
    status = ledger.settle(recorded, seen, now, start_deadline)
    return Trial(
        item=item,
        spec=spec,
        recorded=recorded,
        status=status,
        seen=seen,
        obstacle=_obstacle(status, seen, now),
    )


def _obstacle(status: TrialStatus, seen: Mapping[int, ledger.Seen], now: float) -> Waiting | None:
    """Why the open attempt does not run yet, as far as its job and pods tell."""
    for attempt in status.attempts:
        there = seen.get(attempt.number)
        if attempt.class_ is None and attempt.running_time is None and there is not None:
            return ending.waiting(there.evidence, now)
    return None


def _seen(trial: Object, recorded: TrialStatus, gathered: Gathered) -> dict[int, ledger.Seen]:
    uid = trial["metadata"]["uid"]
    found = {
        attempt.number: _left(attempt, pods)
        for attempt in recorded.attempts
        if attempt.end_time is None and (pods := gathered.pods.get(attempt.job, ()))
    }
    for job in gathered.pytorch_jobs.values():
        number = names.number(job)
        if names.controller(job) == uid and number is not None:
            found[number] = _job_seen(job, gathered)
    return found


def _left(attempt: TrialAttempt, pods: tuple[Vitals, ...]) -> ledger.Seen:
    """What outlives a job that is gone: its pods, which save in their grace and hold their GPUs."""
    since = attempt.start_time.timestamp()
    return ledger.Seen(
        job=attempt.job,
        started=since,
        evidence=Evidence(pods=pods, nodes=len(pods), gone=True, since=since),
    )


def _job_seen(job: Object, gathered: Gathered) -> ledger.Seen:
    state = pytorchjob.read(job)
    uid, notes = job["metadata"]["uid"], job["metadata"].get("annotations", {})
    return ledger.Seen(
        job=uid,
        started=clock.made(job),
        halvings=min(names.whole(notes.get(names.HALVINGS, "")) or 0, MOST_HALVINGS),
        templates=notes.get(names.TEMPLATES, ""),
        evidence=Evidence(
            asked=_asked(notes.get(names.ASKED)),
            pods=gathered.pods.get(uid, ()),
            nodes=state.nodes,
            gone=names.leaving(job),
            suspended=state.suspended,
            queued=bool(state.queue),
            failed=state.message if state.finished is Finished.FAILED else None,
            succeeded=state.finished is Finished.SUCCEEDED,
            since=state.released or clock.made(job),
            patience=_patience(uid, state.nodes),
        ),
    )


def _patience(uid: str, nodes: int) -> float:
    """Two jobs that each hold half of their pods, and the GPUs that the other waits for, would give
    up at one moment and meet again: by its UID, one of them gives up first.
    """
    return 1.0 if nodes == 1 else 1.0 + MOST_SPREAD * zlib.crc32(uid.encode()) / 0xFFFFFFFF


def _asked(text: str | None) -> tuple[int, ...] | None:
    """The budgets of an annotation; None where there are none to read."""
    numbers = [names.whole(part) for part in text.split(",")] if text else []
    known = tuple(number for number in numbers if number is not None)
    return known if known and len(known) == len(numbers) else None
