"""From the cluster's objects to the snapshot that `decide` takes. Pure; `reconcile` calls it.

A trial's attempts come from its ScalingTrial's record (`ledger`), those at prepare and fit from
their Jobs, which the operator keeps as long as they count. Everything else is computed anew.
"""

from collections.abc import Iterable, Mapping

from scalingsweep import decide, resolve
from scalingsweep.api.outcome import Class
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.scalingtrial import TrialAttempt
from scalingsweep.api.status import SweepStatus
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import SpecError
from scalingsweep.plan import Key, Plan
from scalingsweep.world import Attempt, Job, Observed, Work
from scalingsweep_operator import ledger
from scalingsweep_operator.studies import Study
from scalingsweep_operator.trials import Trial
from scalingsweep_operator.work import JobAttempt


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
        trials: see `trials.of`.
        attempts: see `work.of`.
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
    counted = sum(ledger.gpu_seconds(trial.status) for trial in trials.values())
    listed = sum(attempt.gpu_seconds or 0.0 for each in made.values() for attempt in each)
    return Observed(
        plan=study.plan,
        attempts=made,
        prepared=found,
        observed=resolve.observed(study.plan, found),
        ids={key: spec.id for key, spec in ids.items()},
        started=started,
        spent_gpu_seconds=max(0.0, total_gpu_seconds(status, counted) - listed),
        suspended_seconds=rested,
        refusal=study.refusal,
    )


def total_gpu_seconds(status: SweepStatus, listed: float) -> float:
    """GPU time of the whole sweep; that of trials which are gone was recorded while they were."""
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
