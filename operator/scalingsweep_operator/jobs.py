"""Jobs (batch/v1) for prepare and fit: one pod, one try. Pure; `act` and `observe` call it.

Neither asks for a GPU, so neither waits in Kueue's queue, even where the sweep names one: a study
whose quota is taken can still look at its text, and fit what it has. Retries and deletion are the
operator's: no back-off and no TTL here.
"""

from scalingsweep_operator import jobstate, resources
from scalingsweep_operator.jobstate import State
from scalingsweep_operator.resources import Object


def build(
    name: str, *, namespace: str, owner: Object, labels: dict[str, str], template: Object
) -> Object:
    """The job of one attempt.

    Args:
        name: `names.job`.
        namespace: the sweep's.
        owner: the sweep's controller reference (`names.owner`).
        labels: as its pod carries them.
        template: `pods.template`.
    """
    return {
        "apiVersion": resources.JOBS.api_version,
        "kind": resources.JOBS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels),
            "ownerReferences": [owner],
        },
        "spec": {"backoffLimit": 0, "completions": 1, "parallelism": 1, "template": template},
    }


def read(job: Object) -> State:
    """How it is. A status that makes no sense reads as none."""
    job = jobstate.mapping(job)
    metadata, spec = jobstate.mapping(job.get("metadata")), jobstate.mapping(job.get("spec"))
    return State(
        suspended=spec.get("suspend") is True,
        # a Job has no condition for it: its controller says when it began to make pods
        running=jobstate.time(jobstate.mapping(job.get("status")).get("startTime")),
        created=jobstate.time(metadata.get("creationTimestamp")),
        **jobstate.finished(job, "Complete", "Failed"),
    )
