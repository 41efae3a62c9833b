"""The conditions of a sweep: what can be waited for, each with a reason in one word. Pure.

A chain of small functions, one a type, over the same view; `summary` puts them into the status.
"""

import dataclasses
from collections.abc import Iterable

from scalingsweep import decide
from scalingsweep.api.outcome import Class
from scalingsweep.api.status import Condition, ConditionStatus, ConditionType, Reason
from scalingsweep.world import Decision, Job, Limit, Observed, Phase, TrialPhase
from scalingsweep_operator import brief, clock
from scalingsweep_operator.vitals import Waiting

_LIMITS = {
    Limit.GPU_HOURS: Reason.GPU_HOURS,
    Limit.DEADLINE: Reason.DEADLINE,
    Limit.MAX_FAILED: Reason.MAX_FAILED,
}
_WORK = {
    Phase.PREPARING: Reason.PREPARING,
    Phase.RUNNING: Reason.RUNNING,
    Phase.DRAINING: Reason.DRAINING,
    Phase.FITTING: Reason.FITTING,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What conditions are made from."""

    decision: Decision
    observed: Observed
    obstacle: Waiting | None = None
    """Why something that should run does not, where something is in the way."""
    training: bool = False
    """Whether a trial has all its pods running."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One condition's value, without times."""

    status: ConditionStatus
    reason: Reason
    message: str = ""


def _true(reason: Reason, message: str = "") -> Verdict:
    return Verdict(status=ConditionStatus.TRUE, reason=reason, message=message)


def _false(reason: Reason, message: str = "") -> Verdict:
    return Verdict(status=ConditionStatus.FALSE, reason=reason, message=message)


def _unknown(reason: Reason, message: str = "") -> Verdict:
    return Verdict(status=ConditionStatus.UNKNOWN, reason=reason, message=message)


def of(view: View) -> dict[ConditionType, Verdict]:
    """Every condition."""
    return {
        ConditionType.PLANNED: _planned(view),
        ConditionType.PROGRESSING: _progressing(view),
        ConditionType.SUSPENDED: _suspended(view),
        ConditionType.BUDGET_EXCEEDED: _exceeded(view),
        ConditionType.FITTED: _fitted(view),
        ConditionType.COMPLETE: _ended(view, Phase.COMPLETE),
        ConditionType.FAILED: _ended(view, Phase.FAILED),
    }


def refused(reason: Reason, message: str) -> dict[ConditionType, Verdict]:
    """The conditions of a sweep that has no plan."""
    return {
        ConditionType.PLANNED: _false(reason, message),
        ConditionType.PROGRESSING: _false(reason, message),
        ConditionType.COMPLETE: _false(reason, message),
        ConditionType.FAILED: _true(reason, message),
    }


def merged(
    former: Iterable[Condition],
    found: dict[ConditionType, Verdict],
    *,
    generation: int,
    now: float,
) -> tuple[Condition, ...]:
    """The conditions for a status: a time changes only where a status does."""
    before = {condition.type: condition for condition in former}
    return tuple(
        _condition(kind, verdict, before.get(kind), generation, now)
        for kind, verdict in found.items()
    )


def _condition(
    kind: ConditionType, verdict: Verdict, before: Condition | None, generation: int, now: float
) -> Condition:
    same = before is not None and before.status is verdict.status
    return Condition(
        type=kind,
        status=verdict.status,
        reason=verdict.reason,
        message=brief.cut(verdict.message),
        observed_generation=generation,
        last_transition_time=before.last_transition_time if same and before else clock.stamp(now),
    )


def _planned(view: View) -> Verdict:
    if view.observed.refusal:
        return _false(Reason.NOT_IDENTIFIABLE, view.observed.refusal)
    failed = _failure(view.observed, Job.PREPARE)
    if view.decision.phase is Phase.FAILED and view.observed.prepared is None and failed:
        return _false(*failed)
    if view.observed.prepared is None:
        return _unknown(Reason.PREPARING, "prepare looks at corpora, tokenizer and storage")
    trials, cells = len(view.observed.plan.trials), len(view.observed.plan.observations)
    return _true(Reason.PLANNED, f"{trials} trials, {cells} observations")


def _failure(observed: Observed, job: Job) -> tuple[Reason, str] | None:
    """Why the last attempt at a job is the last one."""
    attempts = observed.attempts.get(job, ())
    if not attempts or attempts[-1].running:
        return None
    reasons = {
        Class.BAD_CONFIGURATION: Reason.BAD_CONFIGURATION,
        Class.BAD_DATA: Reason.BAD_DATA,
    }
    last = attempts[-1]
    reason = reasons.get(last.klass, Reason.PREPARE_FAILED) if last.klass else None
    return (reason, last.message) if reason else None


def _progressing(view: View) -> Verdict:
    phase = view.decision.phase
    if view.decision.finished:
        return _false(Reason.ENDED, view.decision.reason)
    if phase is Phase.SUSPENDED:
        return _false(Reason.SUSPENDED, view.decision.reason)
    if view.obstacle is not None and not view.training:
        return _false(view.obstacle.reason, view.obstacle.message)
    idle = view.decision.count(TrialPhase.RUNNING) == 0 and not view.decision.actions
    if phase is Phase.RUNNING and idle:
        return _false(Reason.BACKING_OFF, view.decision.reason)
    beside = f"; {view.obstacle.reason}: {view.obstacle.message}" if view.obstacle else ""
    return _true(_WORK[phase], f"{view.decision.reason}{beside}")


def _suspended(view: View) -> Verdict:
    if view.decision.phase is Phase.SUSPENDED:
        return _true(Reason.SUSPENDED, "spec.suspend is true")
    return _false(Reason.RESUMED, "spec.suspend is false")


def _exceeded(view: View) -> Verdict:
    limit = view.decision.limit
    if limit is None:
        return _false(Reason.WITHIN_LIMITS)
    return _true(_LIMITS[limit], view.decision.reason)


def _fitted(view: View) -> Verdict:
    observed, phase = view.observed, view.decision.phase
    planned = len(observed.plan.observations)
    complete = decide.complete_observations(observed)
    if phase is Phase.COMPLETE:
        if complete == planned:
            return _true(Reason.FITTED, f"{complete} observations")
        return _true(Reason.PARTIAL, f"{planned - complete} of {planned} observations are missing")
    if phase is Phase.FAILED:
        reason = Reason.FIT_FAILED if complete else Reason.NO_OBSERVATIONS
        return _false(reason, view.decision.reason)
    return _unknown(_WORK.get(phase, Reason.SUSPENDED), f"{complete} of {planned} observations")


def _ended(view: View, phase: Phase) -> Verdict:
    if view.decision.phase is phase:
        return _true(Reason.ENDED, view.decision.reason)
    other = Reason.SUSPENDED if view.decision.phase is Phase.SUSPENDED else Reason.ENDED
    return _false(_WORK.get(view.decision.phase, other), view.decision.reason)


_TOLD = {ConditionType.PLANNED, ConditionType.BUDGET_EXCEEDED, ConditionType.FITTED}
_CALM = {Reason.PREPARING, Reason.RUNNING, Reason.FITTING, Reason.DRAINING, Reason.SUSPENDED}


def worth_an_event(condition: Condition) -> bool:
    """Whether a user would want to be told of a condition that has changed."""
    kind, status = condition.type, condition.status
    if kind in {ConditionType.COMPLETE, ConditionType.FAILED, ConditionType.SUSPENDED}:
        return status is ConditionStatus.TRUE
    if kind is ConditionType.PROGRESSING:
        return condition.reason is not Reason.ENDED
    return kind in _TOLD and status is not ConditionStatus.UNKNOWN


def warns(condition: Condition) -> bool:
    """Whether something is wrong that a user can mend."""
    if condition.type in {ConditionType.FAILED, ConditionType.BUDGET_EXCEEDED}:
        return condition.status is ConditionStatus.TRUE
    return condition.status is ConditionStatus.FALSE and condition.reason not in _CALM
