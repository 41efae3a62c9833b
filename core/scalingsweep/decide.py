"""What happens next: a pure function of the spec, a snapshot of the world and the time.

Both control planes call `decide` whenever something may have changed, and carry out what it says.
It keeps no memory: stop a control plane at any instruction and the next one goes on from what it
observes.
"""

import dataclasses
from collections.abc import Iterator, Mapping

from scalingsweep import gpu_time, identity, standing
from scalingsweep.api import names
from scalingsweep.api.attempt import MOST_HALVINGS
from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key, Trial
from scalingsweep.world import (
    Attempt,
    Decision,
    Job,
    Limit,
    Observed,
    Phase,
    Start,
    Stop,
    TrialPhase,
    Work,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Halt:
    """Whether something keeps new trials from starting."""

    limit: Limit | None = None
    reason: str = ""
    stop: bool = False
    """Whether running trials are to stop as well."""

    @property
    def stops(self) -> str:
        """Why running trials are to stop, else nothing."""
        return self.reason if self.stop else ""


_GO_ON = _Halt()


def decide(observed: Observed, now: float) -> Decision:
    """The next actions and the state of the sweep; once that has finished, nothing runs.

    Args:
        observed: the snapshot.
        now: the time, on the clock of the snapshot.
    """
    phases = trial_phases(observed, now)
    if observed.plan.spec.suspend:
        return _rest(observed, phases)
    if observed.refusal:
        return _end(observed, phases, observed.refusal)
    if observed.prepared is None or _standing(observed, Job.PREPARE, now).running:
        return _prepare(observed, phases, now)
    return _run(observed, phases, now)


def trial_phases(observed: Observed, now: float) -> dict[Key, TrialPhase]:
    """The phase of every planned trial; sources come before the trials that need them."""
    phases: dict[Key, TrialPhase] = {}
    for trial in observed.plan.trials:
        phases[trial.key] = _trial_phase(observed, trial, phases, now)
    return phases


def complete_budgets(observed: Observed, trial: Trial) -> frozenset[int]:
    """Tokens D of a trial whose results are in S3, as far as we were told."""
    return _told(observed, trial.key) & set(trial.budgets)


def complete_observations(observed: Observed) -> int:
    """Observations of the plan that are in S3, as far as we were told."""
    return sum(len(complete_budgets(observed, trial)) for trial in observed.plan.trials)


def fit_input(observed: Observed) -> str:
    """A digest of what a fit made now would see: two fits of one input say the same."""
    spec = observed.plan.spec
    cells = [
        [str(trial.key), observed.ids.get(trial.key), D, D in complete_budgets(observed, trial)]
        for trial in observed.plan.trials
        for D in trial.budgets
    ]
    corpora = [corpus.name for corpus in spec.corpora]
    arms = [arm.to_wire() for arm in spec.arms]
    return identity.digest([spec.fit.to_wire(), corpora, arms, cells])


def _rest(observed: Observed, phases: Mapping[Key, TrialPhase]) -> Decision:
    return Decision(
        phase=Phase.SUSPENDED,
        reason="suspended: set spec.suspend to false to go on",
        trials=phases,
        actions=tuple(_stops(observed, "the sweep is suspended")),
    )


def _end(
    observed: Observed, phases: Mapping[Key, TrialPhase], reason: str, limit: Limit | None = None
) -> Decision:
    """There will be no fit: what runs is told to leave first."""
    return Decision(
        phase=Phase.DRAINING if _running(observed) else Phase.FAILED,
        reason=reason,
        trials=phases,
        limit=limit,
        actions=tuple(_stops(observed, reason)),
    )


def _prepare(observed: Observed, phases: Mapping[Key, TrialPhase], now: float) -> Decision:
    """Look at the data; after an edit, while trials go on that the new spec still has."""
    prepare = _standing(observed, Job.PREPARE, now)
    if prepare.failed:
        return _end(observed, phases, prepare.failed)
    halt = _halt(observed, phases, now)
    if halt.stop and complete_observations(observed) == 0:
        return _end(observed, phases, halt.reason, halt.limit)
    stops = tuple(_trial_stops(observed, halt.stops))
    starts: tuple[Start, ...] = ()
    if not prepare.running and prepare.retry_at is None:
        starts = (Start(work=Job.PREPARE),)
    return Decision(
        phase=Phase.PREPARING,
        reason="looking at corpora, tokenizer and storage",
        trials=phases,
        actions=stops + starts,
        limit=halt.limit,
        look_again=_next_time(observed, phases, now, Job.PREPARE),
    )


def _run(observed: Observed, phases: Mapping[Key, TrialPhase], now: float) -> Decision:
    halt = _halt(observed, phases, now)
    stops = tuple(_trial_stops(observed, halt.stops))
    starts: tuple[Start, ...] = ()
    if halt.limit is None:
        starts, halt = _starts(observed, phases, now)
    running = _running_trials(observed)
    if running or starts:
        return Decision(
            phase=Phase.DRAINING if halt.limit else Phase.RUNNING,
            reason=halt.reason or f"{len(running) + len(starts)} trials run",
            trials=phases,
            actions=stops + starts,
            limit=halt.limit,
            look_again=_next_time(observed, phases, now),
        )
    if halt.limit is None and TrialPhase.WAITING in phases.values():
        return Decision(
            phase=Phase.RUNNING,
            reason="waiting to try failed trials again",
            trials=phases,
            look_again=_next_time(observed, phases, now),
        )
    return _fit(observed, phases, halt, now)


def _fit(observed: Observed, phases: Mapping[Key, TrialPhase], halt: _Halt, now: float) -> Decision:
    complete = complete_observations(observed)
    if complete == 0:
        return _end(observed, phases, halt.reason or _why_nothing(observed), halt.limit)
    wanted = fit_input(observed)
    attempts = _attempts(observed, Job.FIT)
    current = tuple(attempt for attempt in attempts if attempt.fitted == wanted)
    fit = standing.judge(current, now, observed.plan.spec.retry)
    actions: tuple[Start | Stop, ...] = ()
    if any(attempt.running for attempt in attempts if attempt.fitted != wanted):
        actions = tuple(_stops(observed, "what it fits has changed since"))
    elif any(attempt.klass is Class.DONE for attempt in current):
        missing = len(observed.plan.observations) - complete
        text = f"{complete} observations fitted" + (f", {missing} missing" if missing else "")
        return Decision(
            phase=Phase.COMPLETE,
            reason=f"{text}: {halt.reason}" if halt.reason else text,
            trials=phases,
            limit=halt.limit,
        )
    elif fit.failed:
        return _end(observed, phases, f"the fit failed: {fit.failed}", halt.limit)
    elif not fit.running and fit.retry_at is None:
        actions = (Start(work=Job.FIT),)
    return Decision(
        phase=Phase.FITTING,
        reason=f"fitting {complete} observations",
        trials=phases,
        actions=actions,
        limit=halt.limit,
        look_again=fit.retry_at,
    )


def _why_nothing(observed: Observed) -> str:
    for trial in observed.plan.trials:
        attempts = _attempts(observed, trial.key)
        if attempts and attempts[-1].message:
            return f"no trial finished; {trial.key}: {attempts[-1].message}"
    return "no trial finished"


def _trial_phase(
    observed: Observed, trial: Trial, earlier: Mapping[Key, TrialPhase], now: float
) -> TrialPhase:
    own = _standing(observed, trial.key, now)
    if own.running:
        return TrialPhase.RUNNING
    if complete_budgets(observed, trial) == set(trial.budgets):
        return TrialPhase.SUCCEEDED
    source = trial.source
    # what it starts from may be there although its source has failed since, or trains on
    if source is not None and source.tokens not in _told(observed, source.key):
        gone = earlier[source.key] in {TrialPhase.FAILED, TrialPhase.SKIPPED}
        return TrialPhase.SKIPPED if gone else TrialPhase.WAITING
    if own.failed:
        return TrialPhase.FAILED
    if any(attempt.running for attempt in observed.attempts.get(trial.key, ())):
        return TrialPhase.WAITING  # for the one at its former id to leave
    return TrialPhase.PENDING if own.retry_at is None else TrialPhase.WAITING


def _attempts(observed: Observed, work: Work) -> tuple[Attempt, ...]:
    """The attempts at a piece of work as it is now."""
    attempts = observed.attempts.get(work, ())
    if not isinstance(work, Key) or work not in observed.ids:
        return attempts
    return tuple(attempt for attempt in attempts if attempt.trial == observed.ids[work])


def _standing(observed: Observed, work: Work, now: float) -> standing.Standing:
    return standing.judge(_attempts(observed, work), now, observed.plan.spec.retry)


def _told(observed: Observed, key: Key) -> frozenset[int]:
    """Tokens D of a key whose results are in S3, also those that are no longer planned."""
    told = {D for attempt in _attempts(observed, key) for D in attempt.budgets}
    return observed.observed.get(key, frozenset()) | told


def _starts(
    observed: Observed, phases: Mapping[Key, TrialPhase], now: float
) -> tuple[tuple[Start, ...], _Halt]:
    """What may start now, sources and long trials first; and why no more may, if that is so."""
    room = observed.plan.spec.parallel_trial_count - len(_running_trials(observed))
    pending = [t for t in observed.plan.trials if phases[t.key] is TrialPhase.PENDING]
    sources = {t.source.key for t in observed.plan.trials if t.source is not None}
    # the longest first: what is left at the end is short and spreads evenly
    pending.sort(key=lambda t: (t.key not in sources, -t.trained_tokens * t.size.N))
    committed = gpu_time.committed(observed, now)
    limit = observed.plan.spec.limits.gpu_hours
    starts: list[Start] = []
    for trial in pending[: max(0, room)]:
        committed += gpu_time.estimated(trial)
        if limit is not None and committed > limit * 3600:
            if starts:
                break
            reason = f"{trial.key} would exceed limits.gpuHours {limit:g}"
            return (), _Halt(limit=Limit.GPU_HOURS, reason=reason)
        attempts = _attempts(observed, trial.key)
        halvings = sum(1 for attempt in attempts if attempt.klass is Class.OUT_OF_MEMORY)
        starts.append(Start(work=trial.key, halvings=min(halvings, MOST_HALVINGS)))
    return tuple(starts), _GO_ON


def _halt(observed: Observed, phases: Mapping[Key, TrialPhase], now: float) -> _Halt:
    spec = observed.plan.spec
    failed = sum(1 for phase in phases.values() if phase is TrialPhase.FAILED)
    if failed > spec.max_failed_trial_count:
        reason = f"{failed} trials failed, maxFailedTrialCount is {spec.max_failed_trial_count}"
        return _Halt(limit=Limit.MAX_FAILED, reason=reason, stop=spec.on_max_failed == "Stop")
    if spec.limits.deadline is not None:
        end = observed.started + observed.suspended_seconds + names.duration(spec.limits.deadline)
        if now >= end:
            reason = f"limits.deadline {spec.limits.deadline} has passed"
            return _Halt(limit=Limit.DEADLINE, reason=reason, stop=True)
    return _GO_ON


def _next_time(
    observed: Observed, phases: Mapping[Key, TrialPhase], now: float, *works: Work
) -> float | None:
    """When a wait or the deadline ends, of the trials that wait and of other work."""
    waiting = [key for key, phase in phases.items() if phase is TrialPhase.WAITING]
    times = [_standing(observed, work, now).retry_at for work in (*works, *waiting)]
    deadline = observed.plan.spec.limits.deadline
    if deadline is not None:
        times.append(observed.started + observed.suspended_seconds + names.duration(deadline))
    return min((time for time in times if time is not None and time > now), default=None)


def _stops(observed: Observed, reason: str) -> Iterator[Stop]:
    """Everything that runs is told to leave, each once."""
    for work, attempts in observed.attempts.items():
        if any(attempt.running and not attempt.stopping for attempt in attempts):
            yield Stop(work=work, reason=reason)


def _trial_stops(observed: Observed, halt: str) -> Iterator[Stop]:
    """Trials that are told to leave: all of them, or those that the plan no longer has."""
    planned = {trial.key for trial in observed.plan.trials}
    for stop in _stops(observed, halt or "the manifest no longer has this trial"):
        if isinstance(stop.work, Key) and (
            halt or stop.work not in planned or not _standing(observed, stop.work, 0).running
        ):
            yield stop


def _running(observed: Observed) -> list[Work]:
    return [
        work
        for work, attempts in observed.attempts.items()
        if any(attempt.running for attempt in attempts)
    ]


def _running_trials(observed: Observed) -> list[Key]:
    return [work for work in _running(observed) if isinstance(work, Key)]
