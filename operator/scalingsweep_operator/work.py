"""The Jobs of a sweep, at prepare and fit, and what each has come to. Pure.

Their attempts are recorded nowhere else: the operator keeps the Jobs for as long as they count.
"""

import dataclasses

from scalingsweep.api.outcome import Outcome
from scalingsweep.world import Attempt, Job
from scalingsweep_operator import clock, ending, jobs, names
from scalingsweep_operator.ending import Evidence
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.jobstate import Finished
from scalingsweep_operator.resources import Object
from scalingsweep_operator.vitals import Waiting


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


def of(gathered: Gathered, now: float) -> list[JobAttempt]:
    """Every Job at prepare and fit, the oldest first."""
    return [
        _job_attempt(job, role, gathered, now)
        for job in gathered.jobs
        if (role := _role(job)) is not None and names.number(job) is not None
    ]


def _job_attempt(item: Object, role: Job, gathered: Gathered, now: float) -> JobAttempt:
    state = jobs.read(item)
    pods = gathered.pods.get(item["metadata"]["uid"], ())
    made = clock.made(item)
    failed = state.message if state.finished is Finished.FAILED else None
    evidence = Evidence(
        job=role,
        pods=pods,
        gone=names.leaving(item),
        failed=failed,
        succeeded=state.finished is Finished.SUCCEEDED,
        since=made,
    )
    outcome = ending.judge(evidence, now)
    leaving = any(pod.alive(now) for pod in pods)
    over = outcome is not None and not leaving
    words = [pod.word.at for pod in pods if pod.word is not None]
    number = names.number(item)
    assert number is not None, "of() has looked"
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


def _role(job: Object) -> Job | None:
    role = job["metadata"].get("labels", {}).get(names.ROLE, "")
    return Job(role) if role in set(Job) else None
