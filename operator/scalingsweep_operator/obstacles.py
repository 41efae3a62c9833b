"""What is in the way of work that should run, in one reason and one sentence for a condition.

From what the API server refused and from the pods, where they tell it; otherwise from what the
cluster lacks.
"""

from collections.abc import Sequence

from scalingsweep.api.status import Reason
from scalingsweep_operator import faults
from scalingsweep_operator.api import Api
from scalingsweep_operator.case import Case
from scalingsweep_operator.resources import Resource
from scalingsweep_operator.vitals import Waiting

ADMISSION_SECONDS = 30.0
"""So long after it was made, a queued job that Kueue has no Workload of has not been seen by it."""
WORKLOADS = Resource(group="kueue.x-k8s.io", version="v1beta1", kind="Workload", plural="workloads")

_NO_OPERATOR = (
    "the cluster has no PyTorchJob: install Kubeflow's training-operator (v1.9) and its CRDs; "
    "trials start by themselves then"
)
_NO_KUEUE = (
    "queueName is set, and Kueue has not seen the PyTorchJobs: install it with "
    "`kubeflow.org/pytorchjob` in its integrations.frameworks, or remove queueName"
)


async def of(api: Api, case: Case, met: Sequence[Waiting]) -> Waiting | None:
    """The first obstacle, if there is one.

    Args:
        api: the API server.
        case: the look.
        met: what it would not take in this look.

    Raises:
        TransientError: the API server did not say.
    """
    if not case.gathered.trains:
        return Waiting(reason=Reason.NO_TRAINING_OPERATOR, message=_NO_OPERATOR)
    if met:
        return met[0]
    found = [each.waiting for each in case.attempts if each.attempt.running and each.waiting]
    found += [trial.obstacle for trial in case.trials.values() if trial.obstacle]
    if not found:
        return None
    first = found[0]
    if first.reason is Reason.QUEUED and not await _seen(api, case):
        return Waiting(reason=Reason.NO_KUEUE_INTEGRATION, message=_NO_KUEUE)
    if first.reason is Reason.QUEUED:
        return Waiting(reason=Reason.QUEUED, message=f"waits in queue {case.study.spec.queue_name}")
    return first


async def _seen(api: Api, case: Case) -> bool:
    """Whether Kueue knows of a job that has been queued for a while, or there is none such yet."""
    queued = {
        each.job
        for trial in case.trials.values()
        for each in trial.seen.values()
        if each.evidence.suspended and case.now - each.evidence.since >= ADMISSION_SECONDS
    }
    if not queued:
        return True
    try:
        workloads = await api.list(WORKLOADS, case.namespace)
    except faults.Unknown:
        return False
    owners = {
        reference["uid"]
        for workload in workloads
        for reference in workload["metadata"].get("ownerReferences", [])
    }
    return bool(queued & owners)
