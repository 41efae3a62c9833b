"""How an attempt ended, from its job and all its pods. Pure; `ledger` and `observe` ask it.

Rank 0's valid word that all is done wins. Otherwise it is the earliest specific failure of any pod:
when one rank dies the others lose their connections, and what they say of that is not why. A pod
that vanished is made anew beside living siblings, which wait for the dead; so that is an end too,
and it says more than the complaints of those siblings and of its own successor.
"""

import dataclasses
from collections.abc import Collection, Iterator

from scalingsweep import verdict
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.status import Reason
from scalingsweep.errors import SpecError
from scalingsweep.world import Job
from scalingsweep_operator.vitals import Vitals, Waiting, Word

VAGUE_SECONDS = 30.0
"""How long a failure that may have come from another pod's waits for that one's word."""
UNEXPLAINED_SECONDS = 20.0
"""So long after its job was made a trial that lacks a pod has been refused it."""

_VAGUE = frozenset({Class.INFRASTRUCTURE, Class.PREEMPTED})
_KILLED_FOR_MEMORY = "was killed for the host's memory: raise spec.resources[].memory"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is there of an attempt."""

    job: Job | None = None
    """Prepare or fit; None for a trial."""
    asked: Collection[int] | None = None
    """Tokens D that a trial was asked for; None where that is not known any more."""
    pods: tuple[Vitals, ...] = ()
    gone: bool = False
    """Whether its job is gone, or going."""
    suspended: bool = False
    """Whether its job is held in a queue."""
    queued: bool = False
    """Whether its job has gone through a queue, which may evict it and let it go again."""
    failed: str | None = None
    """What its job says of its failure, if it failed."""
    succeeded: bool = False
    """Whether its job says that it ended well; what came of it stands in a pod's word alone."""
    since: float
    """From when on it waits for its pods to run: when its job was made, or left the queue."""
    nodes: int = 1
    """So many pods make it complete."""
    patience: float = 1.0
    """How often the start deadline it waits for them."""
    complete_since: float | None = None
    """When all its pods ran."""
    step: int | None = None
    """The last step that its worker told of."""


def judge(evidence: Evidence, now: float, start_deadline: float | None = None) -> Outcome | None:
    """The outcome that counts; None while the attempt goes on.

    Args:
        evidence: what is there of it.
        now: the time.
        start_deadline: seconds that its pods may take until all of them run; None: any.
    """
    words = _words(evidence)
    said = [_outcome(pod, word, evidence) for pod, word in words]
    told = zip(words, said, strict=True)
    done = [outcome for (pod, _), outcome in told if outcome.klass is Class.DONE and pod.first]
    specific = [outcome for outcome in said if outcome.klass not in _VAGUE]
    if done:
        return done[0]
    if evidence.gone:
        deleted = Outcome(klass=Class.PREEMPTED, message="its job was deleted", step=evidence.step)
        return [*specific, *said, deleted][0]
    if evidence.suspended:
        return None
    if specific:
        return specific[0]
    if vanished := _vanished(evidence, now):
        return vanished
    if said:
        waited = now - words[0][1].at >= VAGUE_SECONDS
        return said[0] if waited or not _others(evidence, now) else None
    return next(_without_words(evidence, now, start_deadline), None)


def waiting(evidence: Evidence, now: float) -> Waiting | None:
    """Why an attempt does not run yet, as far as its pods tell."""
    found = [pod.waiting for pod in evidence.pods if pod.waiting is not None]
    if found:
        return found[0]
    if evidence.suspended:
        return Waiting(reason=Reason.QUEUED, message="waits in its queue")
    unmade = evidence.nodes - len(evidence.pods)
    if unmade > 0 and now - evidence.since > UNEXPLAINED_SECONDS:
        message = f"{unmade} of its {evidence.nodes} pods are not made: {_REFUSED}"
        return Waiting(reason=Reason.QUOTA_EXCEEDED, message=message)
    return None


_REFUSED = (
    "the namespace's quota or a policy refuses them, or training-operator does not run; "
    "`kubectl describe` of its job says more"
)


def _without_words(
    evidence: Evidence, now: float, start_deadline: float | None
) -> Iterator[Outcome]:
    """Ends that no worker has spoken of."""
    if not evidence.pods and _ended_unheard(evidence):
        what = "its job ended, and its pods are gone with what they said"
        yield Outcome(klass=Class.PREEMPTED, message=what, step=evidence.step)
    # pods are listed beside their job, so the list may be older: one of them may still say why
    speaks = any(pod.alive(now) for pod in evidence.pods)
    if evidence.failed is not None and not speaks:
        words = f"its job failed: {verdict.printable(evidence.failed)}"
        yield Outcome(klass=Class.INFRASTRUCTURE, message=words[:1024])
    waited = now - evidence.since
    late = start_deadline is not None and waited >= start_deadline * evidence.patience
    if evidence.complete_since is None and late:
        why = waiting(evidence, now)
        text = f": {why.reason}: {verdict.printable(why.message)}" if why else ""
        words = f"its pods did not all run within {start_deadline:g} s{text}"
        yield Outcome(klass=Class.INFRASTRUCTURE, message=words[:1024])


def _vanished(evidence: Evidence, now: float) -> Outcome | None:
    """A pod was taken away without a word: another is there for it, or its node is silent."""
    complete = evidence.complete_since
    replaced = [p for p in evidence.pods if complete is not None and p.created > complete]
    lost = [pod for pod in evidence.pods if not pod.over and not pod.alive(now)]
    if not replaced and not lost:
        return None
    what = f"pod {(replaced or lost)[0].name} was lost"
    return Outcome(klass=Class.PREEMPTED, message=what, step=evidence.step)


def _ended_unheard(evidence: Evidence) -> bool:
    """Whether there were pods. A PyTorchJob may fail before it has any; a Job fails by its pod, one
    whose pods all ran by one of them, and a job that a queue lets go again by the pod that it
    evicted, if that is still leaving.
    """
    ran = evidence.complete_since is not None
    by_pod = evidence.job is not None or evidence.queued or ran
    return evidence.succeeded or (by_pod and evidence.failed is not None)


def _words(evidence: Evidence) -> list[tuple[Vitals, Word]]:
    """Who has ended, the earliest first; that others than rank 0 end well says nothing."""
    ended = [(pod, pod.word) for pod in evidence.pods if pod.word is not None]
    telling = [(pod, word) for pod, word in ended if pod.first or word.exit_code != 0]
    return sorted(telling, key=lambda each: (each[1].at, each[0].name))


def _outcome(pod: Vitals, word: Word, evidence: Evidence) -> Outcome:
    """What the end of one pod's worker means."""
    try:
        outcome = _read(pod, word, evidence)
    except SpecError as error:
        text = f"pod {pod.name}: its outcome cannot be used: {error}"
        outcome = Outcome(klass=Class.INFRASTRUCTURE, message=text[:1024])
    if outcome.klass is not Class.INFRASTRUCTURE:
        return outcome
    if word.reason == "OOMKilled":
        return Outcome(klass=Class.HOST_MEMORY, message=f"pod {pod.name} {_KILLED_FOR_MEMORY}")
    if pod.disrupted:
        return outcome.model_copy(update={"klass": Class.PREEMPTED, "step": evidence.step})
    return outcome


def _read(pod: Vitals, word: Word, evidence: Evidence) -> Outcome:
    if not word.message:
        how = f"with exit status {word.exit_code}" + (f" ({word.reason})" if word.reason else "")
        text = f"pod {pod.name} ended {how} and left no outcome"
        return Outcome(klass=Class.INFRASTRUCTURE, message=text)
    data = word.message.encode()
    outcome = verdict.read(data, "outcome", work=evidence.job, asked=evidence.asked or ())
    if outcome.klass is not Class.DONE:
        return outcome
    if not pod.first:  # then it fell, or nobody would listen to it (`_words`)
        text = f"pod {pod.name} said that all is done, and ended with exit status {word.exit_code}"
        return Outcome(klass=Class.INFRASTRUCTURE, message=text)
    if evidence.asked is None and evidence.job is None:
        raise SpecError("budgets", "say that all is done, and what was asked is not known any more")
    return outcome


def _others(evidence: Evidence, now: float) -> bool:
    """Whether a pod may still say why."""
    return any(pod.word is None and pod.alive(now) for pod in evidence.pods)
