"""The status of a sweep, from what was observed and decided. Pure; `reconcile` writes it.

Counters and texts, never lists of trials: at any size it stays under 32 KB.
"""

from collections.abc import Mapping

from scalingsweep.api.outcome import Class, FitSummary
from scalingsweep.api.status import Phase, SweepStatus, TrialCounts, Usage
from scalingsweep.api.storage import S3Location
from scalingsweep.world import Decision, Job, TrialPhase
from scalingsweep_operator import brief, clock, conditions, decided, ledger, observe
from scalingsweep_operator.case import Case
from scalingsweep_operator.conditions import View
from scalingsweep_operator.trials import Trial

_ENDED = {Phase.COMPLETE, Phase.FAILED}


def make(former: SweepStatus, seen: Case, view: View) -> SweepStatus:
    """The status after a look.

    Args:
        former: as it was recorded.
        seen: what was found and decided.
        view: what conditions are made from.
    """
    decision, now = seen.decision, seen.now
    succeeded, planned = decision.count(TrialPhase.SUCCEEDED), len(seen.study.plan.trials)
    ended = decision.phase in _ENDED
    again = former.completion_time is not None and former.phase in _ENDED and ended
    fit, fitted = _fit(former, seen)
    return former.model_copy(
        update={
            "observed_generation": seen.generation,
            "phase": decision.phase,
            "progress": f"{succeeded}/{planned}",
            "message": brief.cut(decision.reason),
            "start_time": clock.stamp(seen.observed.started),
            "completion_time": (former.completion_time if again else clock.stamp(now))
            if ended
            else None,
            **_rest(former, resting=decision.phase is Phase.SUSPENDED, now=now),
            "trials": _counts(decision, seen.trials),
            "plan": seen.study.summary,
            "usage": _usage(former, seen.trials),
            **_prepared(former, seen),
            "fit": fit,
            "fitted": fitted,
            "conditions": conditions.merged(
                former.conditions,
                conditions.of(view),
                generation=seen.generation,
                now=now,
            ),
        }
    )


def rested(status: SweepStatus, now: float) -> float:
    """Seconds that a sweep has been suspended for until now."""
    since = status.suspended_since
    return status.suspended_seconds + (now - since.timestamp() if since else 0.0)


def _rest(former: SweepStatus, *, resting: bool, now: float) -> dict[str, object]:
    if resting and former.suspended_since is None:
        return {"suspended_since": clock.stamp(now)}
    if not resting and former.suspended_since is not None:
        return {"suspended_since": None, "suspended_seconds": rested(former, now)}
    return {}


def _counts(decision: Decision, trials: Mapping[str, Trial]) -> TrialCounts:
    """By phase, as the ScalingTrials show it."""
    blocked = len(
        {
            trial.key
            for trial in trials.values()
            if decided.waits(trial, decision.trials.get(trial.key))
        }
    )
    waiting = decision.count(TrialPhase.PENDING) + decision.count(TrialPhase.WAITING)
    return TrialCounts(
        planned=len(decision.trials),
        pending=waiting + blocked,
        running=decision.count(TrialPhase.RUNNING) - blocked,
        succeeded=decision.count(TrialPhase.SUCCEEDED),
        failed=decision.count(TrialPhase.FAILED),
        skipped=decision.count(TrialPhase.SKIPPED),
    )


def _usage(former: SweepStatus, trials: Mapping[str, Trial]) -> Usage:
    # what is recorded, which is written twice a minute: what is counted changes with every look,
    # and each write of a status brings the next look about
    listed = sum(ledger.gpu_seconds(trial.recorded) for trial in trials.values())
    total = observe.total_gpu_seconds(former, listed)
    return Usage(gpu_hours=ledger.hours(total), listed_gpu_hours=ledger.hours(listed))


def _prepared(former: SweepStatus, seen: Case) -> dict[str, object]:
    """Prepare's answer with every observation since: it outlives the trials that made them."""
    if seen.found is None:
        return {"prepared": former.prepared, "prepared_for": former.prepared_for}
    known = seen.found.model_copy(update={"observed": observe.bitmap(seen.observed)})
    return {"prepared": known, "prepared_for": seen.study.prepare_input}


def _fit(former: SweepStatus, seen: Case) -> tuple[FitSummary | None, str]:
    """The newest fit, and what it was made of."""
    done = [
        (each.outcome.fit, each.input)
        for each in seen.attempts
        if each.job is Job.FIT and each.outcome is not None and each.outcome.klass is Class.DONE
    ]
    if not done or done[-1][0] is None:
        return former.fit, former.fitted
    summary, made_of = done[-1]
    assert summary is not None
    report = brief.cut(address(seen.study.location, summary.report))
    return summary.model_copy(update={"report": report}), made_of


def address(location: S3Location, key: str) -> str:
    """A key under the prefix as an address that other tools take."""
    return "/".join(filter(None, ("s3:/", location.bucket, location.prefix, key)))
