"""What a ScalingTrial's status records of its attempts: written before anything depends on it.

An attempt is open until its class is known, then leaving until its last pod has gone, then ended.
Pods and jobs vanish; what they said, and the GPU time that they used, stays here.
"""

import dataclasses
from collections.abc import Mapping

from scalingsweep.api.outcome import Class
from scalingsweep.api.scalingtrial import TrialAttempt, TrialResult, TrialStatus
from scalingsweep_operator import clock, ending
from scalingsweep_operator.ending import Evidence
from scalingsweep_operator.vitals import Vitals

_MOST_RESULTS = 64
MOST_ATTEMPTS = 128
"""The CRD takes no more; older ones leave their GPU time in earlierGpuSeconds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is there of one attempt, and who its job is."""

    evidence: Evidence
    job: str = ""
    """UID of its job; empty where there is none."""
    started: float
    """When that was made."""
    halvings: int = 0
    templates: str = ""
    """Digest of what its pods were made from."""


def settle(
    status: TrialStatus, seen: Mapping[int, Seen], now: float, start_deadline: float
) -> TrialStatus:
    """The status with what is new of its attempts.

    Args:
        status: as it was recorded.
        seen: what is there, by number of the attempt.
        now: the time.
        start_deadline: seconds that an attempt's pods may take until all of them run.
    """
    known = {attempt.number: attempt for attempt in status.attempts}
    adopted = {
        number: _adopted(number, each)
        for number, each in seen.items()
        if each.job and number not in known and number >= 1
    }
    attempts = [
        _settled(attempt, seen.get(number), now, start_deadline)
        for number, attempt in sorted((known | adopted).items())
    ]
    found = {"attempts": tuple(attempts), "results": _results(status, seen, now)}
    return shortened(status.model_copy(update=found))


def _results(status: TrialStatus, seen: Mapping[int, Seen], now: float) -> tuple[TrialResult, ...]:
    """The losses that attempts have told of; what is known of one budget stays."""
    known = {result.tokens: result for result in status.results}
    for each in seen.values():
        outcome = ending.judge(each.evidence, now)
        if outcome is not None and len(outcome.losses) == len(outcome.budgets):
            pairs = zip(outcome.budgets, outcome.losses, strict=True)
            known = {D: TrialResult(tokens=D, loss=loss) for D, loss in pairs} | known
    return tuple(known[D] for D in sorted(known)[-_MOST_RESULTS:])


def begun(status: TrialStatus, number: int, *, halvings: int, now: float) -> TrialStatus:
    """The status with one more attempt, whose job has yet to be made.

    Args:
        status: as it was recorded.
        number: the attempt's.
        halvings: of its micro-batch.
        now: the time.
    """
    attempt = TrialAttempt(number=number, start_time=clock.stamp(now), halvings=halvings)
    attempts = (*status.attempts, attempt)
    return shortened(status.model_copy(update={"attempts": attempts, "message": ""}))


def unmade(attempt: TrialAttempt) -> bool:
    """Whether its job has yet to be made: it was recorded, and nothing followed."""
    return attempt.class_ is None and not attempt.job


def ended(
    attempt: TrialAttempt, *, klass: Class, message: str, now: float, stopped: bool = False
) -> TrialAttempt:
    """An open attempt that we end; its pods leave when its job is deleted."""
    over = clock.stamp(now) if unmade(attempt) else None
    return attempt.model_copy(
        update={
            "class_": klass,
            "message": message[:1024],
            "stopped": stopped,
            "end_time": over,
        }
    )


def shortened(status: TrialStatus) -> TrialStatus:
    """At most as many attempts as the CRD takes; the GPU time of the others is kept."""
    dropped, kept = status.attempts[:-MOST_ATTEMPTS], status.attempts[-MOST_ATTEMPTS:]
    earlier = status.earlier_gpu_seconds + sum(attempt.gpu_seconds for attempt in dropped)
    return status.model_copy(update={"attempts": kept, "earlier_gpu_seconds": earlier})


def gpu_seconds(status: TrialStatus) -> float:
    """All GPU time that a trial has used."""
    return status.earlier_gpu_seconds + sum(attempt.gpu_seconds for attempt in status.attempts)


def hours(seconds: float) -> float:
    """GPU-hours as a sweep's status holds them: to a third of a second."""
    return round(seconds / 3600, 4)


def _adopted(number: int, seen: Seen) -> TrialAttempt:
    """An attempt that is there and was not recorded: someone has emptied the status."""
    return TrialAttempt(
        number=number,
        start_time=clock.stamp(seen.started),
        job=seen.job,
        halvings=seen.halvings,
    )


def _settled(
    attempt: TrialAttempt, seen: Seen | None, now: float, start_deadline: float
) -> TrialAttempt:
    if attempt.end_time is not None:
        return attempt
    if seen is not None and seen.job and not attempt.job:
        attempt = attempt.model_copy(update={"job": seen.job})
    if unmade(attempt):
        return attempt
    evidence = _evidence(attempt, seen)
    attempt = _counted(_complete(attempt, evidence, now), evidence, now)
    if attempt.class_ is None:
        outcome = ending.judge(_evidence(attempt, seen), now, start_deadline)
        if outcome is None:
            return attempt
        attempt = attempt.model_copy(
            update={
                "class_": outcome.klass,
                "message": outcome.message,
                "step": outcome.step,
                "budgets": outcome.budgets,
            }
        )
    if any(pod.alive(now) for pod in evidence.pods):
        return attempt
    return attempt.model_copy(update={"end_time": clock.stamp(_end(attempt, evidence, now))})


def _evidence(attempt: TrialAttempt, seen: Seen | None) -> Evidence:
    complete = attempt.running_time.timestamp() if attempt.running_time else None
    if seen is None:
        # whoever deletes the job ends the attempt
        since = attempt.start_time.timestamp()
        return Evidence(gone=True, since=since, step=attempt.step)
    # a job of that name that is not the one we made is another's: ours is gone
    gone = seen.evidence.gone or seen.job != attempt.job
    return dataclasses.replace(seen.evidence, complete_since=complete, gone=gone, step=attempt.step)


def _complete(attempt: TrialAttempt, evidence: Evidence, now: float) -> TrialAttempt:
    """With the time from which on all its pods run; a queue that takes them all begins anew."""
    if evidence.suspended:
        return attempt.model_copy(update={"running_time": None})
    running = [pod.created for pod in evidence.pods if pod.running]
    if attempt.running_time is None and len(running) >= evidence.nodes:
        # the API server's clock may be ahead of ours: none of these pods was made later
        return attempt.model_copy(update={"running_time": clock.stamp(max(now, *running))})
    return attempt


def _counted(attempt: TrialAttempt, evidence: Evidence, now: float) -> TrialAttempt:
    """With the GPU time since it was last counted."""
    since = (attempt.counted_time or attempt.start_time).timestamp()
    added = sum(_held(pod, since, now) * pod.gpus for pod in evidence.pods)
    return attempt.model_copy(
        update={
            "gpu_seconds": attempt.gpu_seconds + added,
            "counted_time": clock.stamp(max(now, since)),
        }
    )


def _held(pod: Vitals, since: float, now: float) -> float:
    if pod.held_from is None:
        return 0.0
    return max(0.0, pod.held_until(float(int(now))) - max(pod.held_from, since))


def _end(attempt: TrialAttempt, evidence: Evidence, now: float) -> float:
    """When it ended: with its last word; or now, where nobody left one."""
    words = [pod.word.at for pod in evidence.pods if pod.word is not None]
    return max([attempt.start_time.timestamp(), *words]) if words else now
