"""What follows from a decision for single objects: which go, which are written, and how. Pure.

`act` and those that it calls ask it and make the calls.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from scalingsweep import decide, quantity
from scalingsweep.api.outcome import Class
from scalingsweep.api.scalingtrial import TrialPhase, TrialProgress, TrialStatus
from scalingsweep.api.trial import TrialSpec
from scalingsweep.plan import Key
from scalingsweep.world import Job, Observed
from scalingsweep_operator import ledger
from scalingsweep_operator.studies import Study
from scalingsweep_operator.trials import Trial
from scalingsweep_operator.vitals import Waiting
from scalingsweep_operator.work import JobAttempt

_T = TypeVar("_T")
MOST_BUDGETS = 64
MOST_CORPORA = 16
"""As many as a TrialSpec takes."""
REFRESH_SECONDS = 30.0
"""How old counted GPU time and progress may be: each write wakes whoever watches."""


def trial_status(
    status: TrialStatus, trial: Trial, *, phase: TrialPhase | None, generation: int
) -> TrialStatus:
    """A trial's status with the phase that was decided; without a plan the phase stays."""
    phase = phase or status.phase
    return status.model_copy(
        update={
            "observed_generation": generation,
            "phase": TrialPhase.PENDING if waits(trial, phase) else phase,
            "message": _message(status, trial, phase),
            "progress": _progress(status, trial, phase),
        }
    )


def waits(trial: Trial, phase: TrialPhase | None) -> bool:
    """Whether something is in the way of what should run: a queue, an image, a full quota.

    To people such a trial is pending, though its attempt has begun.
    """
    return phase is TrialPhase.RUNNING and (trial.obstacle is not None or _held(trial.status))


def _held(status: TrialStatus) -> bool:
    """Whether the API server would not take the job of the newest attempt; its message says why."""
    return bool(status.attempts and ledger.unmade(status.attempts[-1]) and status.message)


def _progress(status: TrialStatus, trial: Trial, phase: TrialPhase | None) -> TrialProgress | None:
    """What the table shows: how far it is, and at the end what came of it."""
    if phase is TrialPhase.RUNNING:
        return status.progress
    if phase is not TrialPhase.SUCCEEDED:
        return None
    longest = trial.spec.budgets[-1]
    steps, tokens = longest // trial.spec.step_tokens, quantity.label(longest)
    losses = {result.tokens: result.loss for result in status.results}
    loss = losses.get(longest)
    return TrialProgress(step=steps, steps=steps, tokens=f"{tokens}/{tokens}", loss=loss)


def _message(status: TrialStatus, trial: Trial, phase: TrialPhase | None) -> str:
    last = status.attempts[-1] if status.attempts else None
    if last is not None and ledger.unmade(last):
        return status.message  # why that is so, which only the API server knows
    if phase is TrialPhase.RUNNING and trial.obstacle is not None:
        return words(trial.obstacle)
    if phase is TrialPhase.SUCCEEDED or last is None or last.class_ in {None, Class.DONE}:
        return ""
    return f"{last.class_}: {last.message}"[:1024]


def words(why: Waiting) -> str:
    """What is in a trial's way, as its message."""
    return f"{why.reason}: {why.message}"[:1024]


def worth_writing(recorded: TrialStatus, wanted: TrialStatus) -> bool:
    """Whether a status says something new, or has counted for long enough."""
    if _substance(recorded) != _substance(wanted):
        return True
    if recorded == wanted:
        return False
    times = zip(recorded.attempts, wanted.attempts, strict=True)
    return any(
        new.counted_time is not None
        and (old.counted_time is None or _apart(old.counted_time, new.counted_time))
        for old, new in times
    )


def _apart(old: Any, new: Any) -> bool:
    return bool((new - old).total_seconds() >= REFRESH_SECONDS)


def _substance(status: TrialStatus) -> TrialStatus:
    attempts = tuple(
        each.model_copy(update={"gpu_seconds": 0.0, "counted_time": None})
        for each in status.attempts
    )
    return status.model_copy(update={"attempts": attempts, "progress": None})


def grown(there: TrialSpec, asked: TrialSpec) -> dict[str, Any] | None:
    """What a ScalingTrial's spec must be changed in to ask for all of it; None where it does.

    What it holds can never be taken out again. When it is full the rest is left out: workers are
    told what is asked now (`orders.pytorch_job`), and the spec is for people and for `kubectl`.
    """
    changed: dict[str, Any] = {}
    # the longest first: of that one a trial that has succeeded shows the loss
    budgets = _with(there.budgets, sorted(asked.budgets, reverse=True), most=MOST_BUDGETS)
    validation = _with(there.validation, asked.validation, most=MOST_CORPORA)
    if len(budgets) > len(there.budgets):
        changed["budgets"] = sorted(budgets)
    if len(validation) > len(there.validation):
        changed["validation"] = validation
    if asked.max_epochs != there.max_epochs:
        changed["maxEpochs"] = asked.max_epochs
    return changed or None


def _with(there: Iterable[_T], asked: Iterable[_T], *, most: int) -> list[_T]:
    return list(dict.fromkeys([*there, *asked]))[:most]


def unplanned(trials: Mapping[str, Trial], specs: Mapping[Key, TrialSpec]) -> Iterator[str]:
    """Names of the trials that no plan has any more; unknown until prepare has answered."""
    planned = {spec.id for spec in specs.values()}
    if planned:
        yield from (name for name, trial in trials.items() if trial.spec.id not in planned)


def outdated(trials: Mapping[str, Trial], templates: str) -> Iterator[str]:
    """Trials whose pods wait, and were made from a template that has been edited since."""
    for name, trial in trials.items():
        attempt = trial.open
        if attempt is None or attempt.running_time is not None or attempt.class_ is not None:
            continue
        seen = trial.seen.get(attempt.number)
        if seen is not None and seen.templates and seen.templates != templates:
            yield name


def stale_jobs(attempts: Iterable[JobAttempt], study: Study) -> Iterator[JobAttempt]:
    """Jobs that look at a spec that is no more, and those that wait with an edited template."""
    for each in attempts:
        waits = each.waiting is not None and each.templates != study.templates
        if waits or (each.job is Job.PREPARE and each.input != study.prepare_input):
            yield each


def job_input(job: Job, study: Study, observed: Observed) -> str:
    """Digest of what a Job works on."""
    return study.prepare_input if job is Job.PREPARE else decide.fit_input(observed)
