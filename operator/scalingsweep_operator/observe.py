"""From the cluster's objects to the snapshot that `decide` takes. Pure; `reconcile` calls it.

A trial's attempts come from its ScalingTrial's record (`ledger`), those at prepare and fit from
their Jobs, which the operator keeps as long as they count. Everything else is computed anew.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from scalingsweep import decide, resolve
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.scalingtrial import TrialAttempt, TrialStatus
from scalingsweep.api.status import SweepStatus
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import SpecError
from scalingsweep.plan import Key, Plan
from scalingsweep.world import Attempt, Job, Observed, Work
from scalingsweep_operator import clock, ending, jobs, ledger, names, pytorchjob
from scalingsweep_operator.ending import Evidence
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.jobstate import Finished
from scalingsweep_operator.resources import Object
from scalingsweep_operator.studies import Study
from scalingsweep_operator.vitals import Waiting


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobAttempt:
    """One Job at prepare or fit, and what it has come to."""

    item: Object
    job: Job
    input: str
    """Digest of what it works on."""
    number: int
    outcome: Outcome | None
    attempt: Attempt
    waiting: Waiting | None
    templates: str
    """Digest of what its pod was made from."""


def trials(gathered: Gathered, study: Study, now: float) -> dict[str, Trial]:
    """Every ScalingTrial with its record brought up to date, by name."""
    deadline = study.start_deadline
    return {
        name: trial
        for name, item in gathered.trials.items()
        if (trial := _trial(item, gathered, deadline, now)) is not None
    }


def _trial(item: Object, gathered: Gathered, start_deadline: float, now: float) -> Trial | None:
    try:
        spec = TrialSpec.from_wire(item["spec"])
        recorded = TrialStatus.from_wire(item.get("status", {}))
    except SpecError:
        return None  # of a later version, or written by hand: not ours to touch
    seen = _seen(item, gathered)
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


def _seen(trial: Object, gathered: Gathered) -> dict[int, ledger.Seen]:
    uid = trial["metadata"]["uid"]
    found = {}
    for job in gathered.pytorch_jobs.values():
        number = _number(job)
        if names.controller(job) == uid and number is not None:
            found[number] = _job_seen(job, gathered)
    return found


def _job_seen(job: Object, gathered: Gathered) -> ledger.Seen:
    state = pytorchjob.read(job)
    uid, notes = job["metadata"]["uid"], job["metadata"].get("annotations", {})
    return ledger.Seen(
        job=uid,
        started=started(job),
        nodes=state.nodes,
        halvings=_whole(notes.get(names.HALVINGS, "")) or 0,
        templates=notes.get(names.TEMPLATES, ""),
        evidence=Evidence(
            asked=_asked(notes.get(names.ASKED)),
            pods=gathered.pods.get(uid, ()),
            gone=names.leaving(job),
            suspended=state.suspended,
            failed=state.message if state.finished is Finished.FAILED else None,
            since=state.released or started(job),
        ),
    )


def _asked(text: str | None) -> tuple[int, ...] | None:
    """The budgets of an annotation; None where there are none to read."""
    numbers = [_whole(part) for part in text.split(",")] if text else []
    known = tuple(number for number in numbers if number is not None)
    return known if known and len(known) == len(numbers) else None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def work(gathered: Gathered, now: float) -> list[JobAttempt]:
    """Every Job at prepare and fit, the oldest first."""
    return [
        _job_attempt(job, role, gathered, now)
        for job in gathered.jobs
        if (role := _role(job)) is not None and _number(job) is not None
    ]


def _job_attempt(item: Object, role: Job, gathered: Gathered, now: float) -> JobAttempt:
    state = jobs.read(item)
    pods = gathered.pods.get(item["metadata"]["uid"], ())
    made = started(item)
    failed = state.message if state.finished is Finished.FAILED else None
    evidence = Evidence(job=role, pods=pods, gone=names.leaving(item), failed=failed, since=made)
    outcome = ending.judge(evidence, now)
    leaving = any(pod.alive(now) for pod in pods)
    over = outcome is not None and not leaving
    words = [pod.word.at for pod in pods if pod.word is not None]
    number = _number(item)
    assert number is not None, "work() has looked"
    labels = item["metadata"]["labels"]
    return JobAttempt(
        item=item,
        job=role,
        input=labels.get(names.INPUT, ""),
        number=number,
        outcome=outcome,
        attempt=Attempt(
            started=made,
            ended=max([made, *words]) if over else None,
            klass=outcome.klass if over and outcome else None,
            message=outcome.message if outcome else "",
            stopping=names.leaving(item) or (outcome is not None and leaving),
            fitted=labels.get(names.INPUT, "") if role is Job.FIT else "",
        ),
        waiting=ending.waiting(evidence, now) if outcome is None else None,
        templates=item["metadata"].get("annotations", {}).get(names.TEMPLATES, ""),
    )


def prepared(study: Study, status: SweepStatus, attempts: Iterable[JobAttempt]) -> Prepared | None:
    """What prepare answered for this very spec: the newest Job's word, else what is recorded."""
    answers = [
        each.outcome.prepared
        for each in attempts
        if each.job is Job.PREPARE
        and each.input == study.prepare_input
        and each.outcome is not None
        and each.outcome.klass is Class.DONE
    ]
    recorded = status.prepared if status.prepared_for == study.prepare_input else None
    newest = answers[-1] if answers else None
    if newest is None or recorded is None:
        return newest or recorded
    # what was recorded knows of every observation since
    count = len(study.plan.observations)
    both = zip(
        resolve.from_bitmap(newest.observed, count),
        resolve.from_bitmap(recorded.observed, count),
        strict=True,
    )
    return newest.model_copy(update={"observed": resolve.to_bitmap([a or b for a, b in both])})


def specs(plan: Plan, found: Prepared | None) -> dict[Key, TrialSpec]:
    """The spec of every trial with its id; nothing before prepare has answered.

    Raises:
        SpecError: the answer does not fit the plan; it came from a pod and may be anything.
    """
    if found is None:
        return {}
    wanted = [corpus.name for corpus in plan.spec.corpora]
    if [corpus.name for corpus in found.corpora] != wanted:
        raise SpecError("spec.corpora", "are not those that prepare tells of")
    try:
        return resolve.trials(plan, found)
    except (KeyError, StopIteration, ValueError) as error:
        raise SpecError("prepared", f"is not an answer to this spec ({error!r})") from None


def observed(
    study: Study,
    status: SweepStatus,
    *,
    trials: Mapping[str, Trial],
    attempts: Iterable[JobAttempt],
    found: Prepared | None,
    ids: Mapping[Key, TrialSpec],
    started: float,
    rested: float,
) -> Observed:
    """The snapshot.

    Args:
        study: what was asked for.
        status: the sweep's, as it was recorded.
        trials: see `trials`.
        attempts: see `work`.
        found: see `prepared`.
        ids: see `specs`.
        started: when the sweep first started.
        rested: seconds that it has been suspended for.
    """
    made: dict[Work, tuple[Attempt, ...]] = {}
    for key, attempt in _by_key(trials, ids):
        made[key] = (*made.get(key, ()), attempt)
    for each in attempts:
        if each.job is Job.FIT or each.input == study.prepare_input:
            made[each.job] = (*made.get(each.job, ()), each.attempt)
    if status.fitted and not any(a.fitted == status.fitted for a in made.get(Job.FIT, ())):
        # the Job that made it is gone; what it wrote is not
        done = Attempt(started=started, ended=started, klass=Class.DONE, fitted=status.fitted)
        made[Job.FIT] = (done, *made.get(Job.FIT, ()))
    listed = sum(attempt.gpu_seconds or 0.0 for each in made.values() for attempt in each)
    return Observed(
        plan=study.plan,
        attempts=made,
        prepared=found,
        observed=_known(study.plan, found),
        ids={key: spec.id for key, spec in ids.items()},
        started=started,
        spent_gpu_seconds=max(0.0, total_gpu_seconds(status, trials) - listed),
        suspended_seconds=rested,
        refusal=study.refusal,
    )


def total_gpu_seconds(status: SweepStatus, trials: Mapping[str, Trial]) -> float:
    """GPU time of the whole sweep; that of trials which are gone was recorded while they were."""
    listed = sum(ledger.gpu_seconds(trial.status) for trial in trials.values())
    gone = (status.usage.gpu_hours - status.usage.listed_gpu_hours) * 3600
    recorded = status.usage.listed_gpu_hours * 3600
    return max(0.0, gone) + max(listed, recorded)


def bitmap(snapshot: Observed) -> str:
    """Every observation that is known to be there, in plan order."""
    complete = {
        trial.key: decide.complete_budgets(snapshot, trial) for trial in snapshot.plan.trials
    }
    return resolve.to_bitmap([D in complete[t.key] for t, D in snapshot.plan.observations])


def _by_key(trials: Mapping[str, Trial], ids: Mapping[Key, TrialSpec]) -> list[tuple[Key, Attempt]]:
    """The attempts that count, with every key that they are attempts at, the oldest first.

    Two arms that differ in name alone are one trial: an attempt at it is one at both.
    """
    keys: dict[str, list[Key]] = {}
    for key, spec in ids.items():
        keys.setdefault(spec.id, []).append(key)
    found = [
        (attempt.start_time, key, _attempt(trial, attempt))
        for trial in trials.values()
        for attempt in trial.status.attempts
        if not (attempt.stopped and attempt.end_time is not None)
        for key in keys.get(trial.spec.id, [trial.key])
    ]
    return [(key, attempt) for _, key, attempt in sorted(found, key=lambda each: each[0])]


def _attempt(trial: Trial, attempt: TrialAttempt) -> Attempt:
    over = attempt.end_time is not None
    return Attempt(
        started=attempt.start_time.timestamp(),
        ended=attempt.end_time.timestamp() if attempt.end_time else None,
        klass=attempt.class_ if over else None,
        message=attempt.message,
        budgets=attempt.budgets,
        step=attempt.step,
        stopping=attempt.class_ is not None and not over,
        gpu_seconds=attempt.gpu_seconds,
        trial=trial.spec.id,
    )


def _known(plan: Plan, found: Prepared | None) -> frozenset[tuple[Key, int]]:
    if found is None:
        return frozenset()
    cells = plan.observations
    flags = resolve.from_bitmap(found.observed, len(cells))
    return frozenset((t.key, D) for (t, D), there in zip(cells, flags, strict=True) if there)


def _role(job: Object) -> Job | None:
    role = _labels(job).get(names.ROLE, "")
    return Job(role) if role in set(Job) else None


def _number(item: Object) -> int | None:
    return _whole(_labels(item).get(names.ATTEMPT, ""))


def _labels(item: Object) -> dict[str, Any]:
    labels: dict[str, Any] = item["metadata"].get("labels", {})
    return labels


def started(item: Object) -> float:
    """When an object was made; a sweep begins then, whatever becomes of its status."""
    at = clock.seconds(item["metadata"]["creationTimestamp"])
    assert at is not None, "the API server writes it"
    return at
