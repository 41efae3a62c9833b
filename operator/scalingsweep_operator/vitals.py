"""How one pod of ours is: whether it runs, what its worker said at its end, why it waits.

Kubernetes tells it in a dozen places of the pod's status; `ending`, `ledger` and `conditions` read
this instead.
"""

import dataclasses
from collections.abc import Collection
from typing import Any

from scalingsweep.api.status import Reason
from scalingsweep_operator import clock, names
from scalingsweep_operator.resources import Object

WORKER = "pytorch"
"""The container that works; PyTorchJob wants it so called."""
LOST_SECONDS = 30.0
"""A pod that is still there so long after its grace stands on a node that does not answer."""

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_CANNOT_START = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a pod does not run yet."""

    reason: Reason
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """The end of a worker's container."""

    at: float
    exit_code: int
    reason: str
    """Kubelet's, as `OOMKilled`."""
    message: str
    """The termination message: the worker's outcome, or whatever it put there."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """One pod."""

    name: str
    uid: str
    owner: str
    """UID of its controller; empty without one."""
    first: bool
    """Whether rank 0 is in it, whose word that all is done counts."""
    ip: str
    created: float
    held_from: float | None
    """When a node took it: from then on it holds its GPUs."""
    running: bool
    """Whether the worker runs now."""
    word: Word | None
    """How the worker ended, if it has."""
    waiting: Waiting | None
    disrupted: bool
    """Whether it was taken away: preemption, eviction, a lost node, or somebody's delete."""
    deadline: float | None
    """When it must be gone at the latest, once it is being deleted."""
    over: bool
    """Whether all its containers have ended."""
    gpus: int

    def alive(self, now: float) -> bool:
        """Whether it may still work; on a node that does not answer nobody can tell."""
        lost = self.deadline is not None and now > self.deadline + LOST_SECONDS
        return not self.over and not lost

    def held_until(self, now: float) -> float:
        """Until when it held its GPUs, at most `now`."""
        return min(now, self.word.at) if self.word is not None else now


def read(pod: Object, gpu_resources: Collection[str]) -> Vitals:
    """How a pod is.

    Args:
        pod: the object.
        gpu_resources: the extended resources that are GPUs.
    """
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = metadata.get("labels", {})
    container = _container(status)
    state = container.get("state", {})
    created = clock.seconds(metadata["creationTimestamp"])
    assert created is not None
    word = _word(state.get("terminated"), status, created)
    return Vitals(
        name=metadata["name"],
        uid=metadata["uid"],
        owner=next(
            (r["uid"] for r in metadata.get("ownerReferences", []) if "controller" in r), ""
        ),
        first=labels.get("training.kubeflow.org/replica-type", "master") == "master",
        ip=status.get("podIP", ""),
        created=created,
        held_from=clock.seconds(status.get("startTime")),
        running="running" in state,
        word=word,
        waiting=_waiting(status, state),
        disrupted=_condition(status, "DisruptionTarget").get("status") == "True"
        or _ended_by_delete(metadata, word),
        deadline=clock.seconds(metadata.get("deletionTimestamp")),
        over=status.get("phase") in {"Succeeded", "Failed"},
        gpus=_gpus(pod, gpu_resources),
    )


def attempt(pod: Object) -> tuple[str, str, str]:
    """Which attempt a pod says that it belongs to: role, trial's name, number."""
    labels = pod["metadata"].get("labels", {})
    return labels.get(names.ROLE, ""), labels.get(names.TRIAL, ""), labels.get(names.ATTEMPT, "")


def _container(status: Object) -> dict[str, Any]:
    found = [c for c in status.get("containerStatuses", []) if c["name"] == WORKER]
    return found[0] if found else {}


def _word(terminated: Object | None, status: Object, created: float) -> Word | None:
    if terminated is not None:
        return Word(
            at=clock.seconds(terminated.get("finishedAt")) or created,
            exit_code=int(terminated.get("exitCode", 1)),
            reason=terminated.get("reason", ""),
            message=terminated.get("message", ""),
        )
    if status.get("phase") != "Failed":
        return None
    # evicted before its container began, or by a node that never told of it again
    at = clock.seconds(_condition(status, "Ready").get("lastTransitionTime"))
    said = status.get("message", "")
    return Word(at=at or created, exit_code=1, reason=status.get("reason", ""), message=said)


def _ended_by_delete(metadata: Object, word: Word | None) -> bool:
    """Whether the worker ended after its pod was told to go; a delete leaves no condition."""
    deadline = clock.seconds(metadata.get("deletionTimestamp"))
    if deadline is None or word is None:
        return False
    return word.at >= deadline - float(metadata.get("deletionGracePeriodSeconds") or 0)


def _waiting(status: Object, state: Object) -> Waiting | None:
    if status.get("phase") != "Pending":
        return None
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return Waiting(reason=Reason.UNSCHEDULABLE, message=scheduled.get("message", ""))
    for each in (state, *_init_states(status)):
        waits = each.get("waiting", {})
        reason, message = waits.get("reason", ""), waits.get("message", "")
        if reason in _IMAGE:
            return Waiting(reason=Reason.IMAGE_PULL, message=f"{reason}: {message}")
        if reason in _CANNOT_START:
            return Waiting(reason=Reason.CANNOT_START, message=f"{reason}: {message}")
    return None


def _init_states(status: Object) -> list[Object]:
    return [container.get("state", {}) for container in status.get("initContainerStatuses", [])]


def _condition(status: Object, kind: str) -> dict[str, Any]:
    found = [c for c in status.get("conditions", []) if c["type"] == kind]
    return found[0] if found else {}


def _gpus(pod: Object, gpu_resources: Collection[str]) -> int:
    containers = [c for c in pod.get("spec", {}).get("containers", []) if c["name"] == WORKER]
    limits = containers[0].get("resources", {}).get("limits", {}) if containers else {}
    return sum(
        int(count)
        for name, count in limits.items()
        if name in gpu_resources and str(count).isdigit()
    )
