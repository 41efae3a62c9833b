"""What happens next: a pure function of the spec, a snapshot of the world and the time.

Both control planes call `decide` whenever something may have changed, and carry out what it says.
It keeps no memory: stop a control plane at any instruction and the next one goes on from what it
observes.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from scalingsweep import cost, devices
from scalingsweep.api import names
from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key, Trial
from scalingsweep.world import (
    Attempt,
    Decision,
    Job,
    Observed,
    Phase,
    Start,
    Stop,
    TrialPhase,
    Work,
)

LONGEST_BACKOFF_SECONDS = 3600.0

_PERMANENT = frozenset({Class.BAD_CONFIGURATION, Class.BAD_DATA, Class.DIVERGED})
_FREE = frozenset({Class.PREEMPTED, Class.SUPERSEDED})
"""Ends that are nobody's fault and spend no retry."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """Whether a piece of work may be tried again."""

    running: bool = False
    done: bool = False
    failed: str = ""
    """Why it is given up, else nothing."""
    retry_at: float | None = None


def decide(observed: Observed, now: float) -> Decision:
    """The next actions and the state of the sweep.

    Args:
        observed: the snapshot.
        now: the time, on the clock of the snapshot.
    """
    if observed.plan.spec.suspend:
        return _rest(observed)
    if observed.refusal:
        return _end(observed, Phase.FAILED, observed.refusal, stop_all=True)
    prepare = _standing(observed, Job.PREPARE, now)
    if observed.prepared is None or prepare.running:
        return _prepare(observed, prepare)
    return _run(observed, now)


def trial_phases(observed: Observed, now: float) -> dict[Key, TrialPhase]:
    """The phase of every planned trial; sources come before the trials that need them."""
    phases: dict[Key, TrialPhase] = {}
    for trial in observed.plan.trials:
        phases[trial.key] = _trial_phase(observed, trial, phases, now)
    return phases


def complete_budgets(observed: Observed, trial: Trial) -> frozenset[int]:
    """Tokens D of a trial whose results are in S3, as far as we were told."""
    told = {D for attempt in observed.attempts.get(trial.key, ()) for D in attempt.budgets}
    told |= {D for D in trial.budgets if (trial.key, D) in observed.observed}
    return frozenset(told & set(trial.budgets))


def complete_observations(observed: Observed) -> int:
    """Observations of the plan that are in S3, as far as we were told."""
    return sum(len(complete_budgets(observed, trial)) for trial in observed.plan.trials)


def gpu_seconds(observed: Observed, now: float) -> float:
    """GPU time used so far, trials of earlier plans included."""
    gpus = {trial.key: _gpus(trial) for trial in observed.plan.trials}
    used = sum(
        ((attempt.ended if attempt.ended is not None else now) - attempt.started)
        * gpus.get(work, 0)
        for work, attempts in observed.attempts.items()
        if isinstance(work, Key)
        for attempt in attempts
    )
    return used + observed.spent_gpu_seconds


def _rest(observed: Observed) -> Decision:
    return Decision(
        phase=Phase.SUSPENDED,
        reason="suspended: set spec.suspend to false to go on",
        trials=trial_phases(observed, 0),
        actions=tuple(_stops(observed, "the sweep is suspended")),
    )


def _prepare(observed: Observed, prepare: _Standing) -> Decision:
    if prepare.failed:
        return _end(observed, Phase.FAILED, prepare.failed)
    actions: tuple[Start | Stop, ...] = ()
    if not prepare.running and prepare.retry_at is None:
        actions = (Start(work=Job.PREPARE),)
    return Decision(
        phase=Phase.PREPARING,
        reason="looking at corpora, tokenizer and storage",
        trials={trial.key: TrialPhase.WAITING for trial in observed.plan.trials},
        actions=actions,
        look_again=prepare.retry_at,
    )


def _run(observed: Observed, now: float) -> Decision:
    phases = trial_phases(observed, now)
    stops = tuple(_obsolete(observed, phases))
    halt, stop_running = _halt(observed, phases, now)
    if stop_running:
        stops = tuple(_stops(observed, halt, trials_only=True))
    running = [key for key, phase in phases.items() if phase is TrialPhase.RUNNING]
    starts: tuple[Start, ...] = ()
    if not halt:
        starts, halt = _starts(observed, phases, now)
    if running or starts or stops or _obsolete_running(observed):
        return Decision(
            phase=Phase.DRAINING if halt else Phase.RUNNING,
            reason=halt or f"{len(running) + len(starts)} trials run",
            trials=phases,
            actions=stops + starts,
            look_again=_next_time(observed, phases, now),
        )
    waiting = any(p in {TrialPhase.WAITING, TrialPhase.PENDING} for p in phases.values())
    if waiting and not halt:
        return Decision(
            phase=Phase.RUNNING,
            reason="waiting to try failed trials again",
            trials=phases,
            look_again=_next_time(observed, phases, now),
        )
    return _fit(observed, phases, halt, now)


def _fit(observed: Observed, phases: dict[Key, TrialPhase], halt: str, now: float) -> Decision:
    complete = complete_observations(observed)
    if complete == 0:
        reason = halt or _why_nothing(observed)
        return Decision(phase=Phase.FAILED, reason=reason, trials=phases)
    current = [a for a in observed.attempts.get(Job.FIT, ()) if a.fitted == complete]
    fit = _judge(observed, current, now)
    if fit.done:
        missing = len(observed.plan.observations) - complete
        text = f"{complete} observations fitted" + (f", {missing} missing" if missing else "")
        return Decision(
            phase=Phase.COMPLETE, reason=f"{text}: {halt}" if halt else text, trials=phases
        )
    if fit.failed:
        return Decision(phase=Phase.FAILED, reason=f"the fit failed: {fit.failed}", trials=phases)
    start = not fit.running and fit.retry_at is None
    return Decision(
        phase=Phase.FITTING,
        reason=f"fitting {complete} observations",
        trials=phases,
        actions=(Start(work=Job.FIT),) if start else (),
        look_again=fit.retry_at,
    )


def _why_nothing(observed: Observed) -> str:
    for trial in observed.plan.trials:
        attempts = observed.attempts.get(trial.key, ())
        if attempts and attempts[-1].message:
            return f"no trial finished; {trial.key}: {attempts[-1].message}"
    return "no trial finished"


def _trial_phase(
    observed: Observed, trial: Trial, earlier: dict[Key, TrialPhase], now: float
) -> TrialPhase:
    standing = _standing(observed, trial.key, now)
    if standing.running:
        return TrialPhase.RUNNING
    if complete_budgets(observed, trial) == set(trial.budgets):
        return TrialPhase.SUCCEEDED
    if trial.source is not None:
        source = earlier[trial.source.key]
        if source in {TrialPhase.FAILED, TrialPhase.SKIPPED}:
            return TrialPhase.SKIPPED
        if source is not TrialPhase.SUCCEEDED:
            return TrialPhase.WAITING
    if standing.failed:
        return TrialPhase.FAILED
    return TrialPhase.PENDING if standing.retry_at is None else TrialPhase.WAITING


def _standing(observed: Observed, work: Work, now: float) -> _Standing:
    return _judge(observed, list(observed.attempts.get(work, ())), now)


def _judge(observed: Observed, attempts: list[Attempt], now: float) -> _Standing:
    """What the attempts at one piece of work mean for the next one."""
    if not attempts:
        return _Standing()
    last = attempts[-1]
    if last.running:
        return _Standing(running=True)
    if last.klass is Class.DONE:
        return _Standing(done=True)
    if last.klass in _PERMANENT:
        return _Standing(failed=last.message or str(last.klass))
    spent = [attempt for attempt in attempts if attempt.klass not in _FREE]
    retry = observed.plan.spec.retry
    host_memory = sum(1 for attempt in spent if attempt.klass is Class.HOST_MEMORY)
    if len(spent) > retry.limit or host_memory > 1:
        return _Standing(failed=f"given up after {len(spent)} attempts: {last.message}")
    again = _in_a_row(attempts, Class.PREEMPTED)
    if again == 1:
        return _Standing()  # it has saved: go on whenever there is room
    # what is preempted again and again backs off too, or it would start and stop for ever
    times = again - 1 if again else max(1, len(spent))
    wait = min(retry.backoff_seconds * 2.0 ** min(times - 1, 30), LONGEST_BACKOFF_SECONDS)
    assert last.ended is not None
    retry_at = last.ended + wait
    return _Standing(retry_at=retry_at if retry_at > now else None)


def _in_a_row(attempts: list[Attempt], klass: Class) -> int:
    """How many of the last attempts ended so, without another between them."""
    return sum(
        1 for _ in itertools.takewhile(lambda attempt: attempt.klass is klass, attempts[::-1])
    )


def _starts(
    observed: Observed, phases: dict[Key, TrialPhase], now: float
) -> tuple[tuple[Start, ...], str]:
    """What may start now, sources and long trials first; and why no more may, if that is so."""
    busy = sum(1 for work, attempts in observed.attempts.items() if _is_busy(work, attempts))
    room = observed.plan.spec.parallel_trial_count - busy
    pending = [t for t in observed.plan.trials if phases[t.key] is TrialPhase.PENDING]
    sources = {t.source.key for t in observed.plan.trials if t.source is not None}
    # the longest first: what is left at the end is short and spreads evenly
    pending.sort(key=lambda t: (t.key not in sources, -t.trained_tokens * t.size.N))
    committed = _committed_gpu_seconds(observed, now)
    limit = observed.plan.spec.limits.gpu_hours
    starts: list[Start] = []
    for trial in pending[: max(0, room)]:
        committed += _estimated_gpu_seconds(trial)
        if limit is not None and committed > limit * 3600:
            if starts:
                break
            return (), f"{trial.key} would exceed limits.gpuHours {limit:g}"
        attempts = observed.attempts.get(trial.key, ())
        halvings = sum(1 for attempt in attempts if attempt.klass is Class.OUT_OF_MEMORY)
        starts.append(Start(work=trial.key, halvings=halvings))
    return tuple(starts), ""


def _halt(observed: Observed, phases: dict[Key, TrialPhase], now: float) -> tuple[str, bool]:
    """Why nothing new may start, if so, and whether running trials are to stop."""
    spec = observed.plan.spec
    failed = sum(1 for phase in phases.values() if phase is TrialPhase.FAILED)
    if failed > spec.max_failed_trial_count:
        reason = f"{failed} trials failed, maxFailedTrialCount is {spec.max_failed_trial_count}"
        return reason, spec.on_max_failed == "Stop"
    if spec.limits.deadline is not None:
        end = observed.started + observed.suspended_seconds + names.duration(spec.limits.deadline)
        if now >= end:
            return f"limits.deadline {spec.limits.deadline} has passed", True
    return "", False


def _next_time(observed: Observed, phases: dict[Key, TrialPhase], now: float) -> float | None:
    times = [
        standing.retry_at
        for key, phase in phases.items()
        if phase is TrialPhase.WAITING
        and (standing := _standing(observed, key, now)).retry_at is not None
    ]
    deadline = observed.plan.spec.limits.deadline
    if deadline is not None:
        times.append(observed.started + observed.suspended_seconds + names.duration(deadline))
    return min((time for time in times if time is not None and time > now), default=None)


def _is_busy(work: Work, attempts: tuple[Attempt, ...]) -> bool:
    return isinstance(work, Key) and any(attempt.running for attempt in attempts)


def _stops(observed: Observed, reason: str, *, trials_only: bool = False) -> Iterator[Stop]:
    for work, attempts in observed.attempts.items():
        if trials_only and not isinstance(work, Key):
            continue
        if any(attempt.running and not attempt.stopping for attempt in attempts):
            yield Stop(work=work, reason=reason)


def _obsolete(observed: Observed, phases: dict[Key, TrialPhase]) -> Iterator[Stop]:
    """Running trials that the plan no longer has."""
    for work, attempts in observed.attempts.items():
        gone = isinstance(work, Key) and work not in phases
        if gone and any(attempt.running and not attempt.stopping for attempt in attempts):
            yield Stop(work=work, reason="the manifest no longer has this trial")


def _obsolete_running(observed: Observed) -> bool:
    planned = {trial.key for trial in observed.plan.trials}
    return any(
        _is_busy(work, attempts) and work not in planned
        for work, attempts in observed.attempts.items()
    )


def _end(observed: Observed, phase: Phase, reason: str, *, stop_all: bool = False) -> Decision:
    return Decision(
        phase=phase,
        reason=reason,
        trials={trial.key: TrialPhase.WAITING for trial in observed.plan.trials},
        actions=tuple(_stops(observed, reason)) if stop_all else (),
    )


def _gpus(trial: Trial) -> int:
    return trial.size.resources.nodes * trial.size.resources.gpus_per_node


def _estimated_gpu_seconds(trial: Trial) -> float:
    """GPU time of a whole trial; 0 where the device is unknown, for nothing can be committed."""
    accelerator = trial.size.resources.accelerator
    device = devices.find(accelerator) if accelerator else None
    if device is None or _gpus(trial) == 0:
        return 0.0
    flops = cost.trial_flops(trial.size.shape, trial.trained_tokens)
    return (cost.gpu_hours(flops, device) or 0.0) * 3600


def _committed_gpu_seconds(observed: Observed, now: float) -> float:
    """What is spent, and what running trials will still need as far as can be told."""
    running = 0.0
    for trial in observed.plan.trials:
        attempts = observed.attempts.get(trial.key, ())
        if attempts and attempts[-1].running:
            so_far = (now - attempts[-1].started) * _gpus(trial)
            running += max(0.0, _estimated_gpu_seconds(trial) - so_far)
    return gpu_seconds(observed, now) + running
