"""PyTorchJob (kubeflow.org/v1, training-operator 1.9), and nothing else knows it: an attempt at a
trial is built as one, and read from one. Pure; `act` and `observe` call it.

A replica is a node. The master's exit is the job's end; training-operator sets PET_* and MASTER_*,
which torchrun reads. No job is ever retried: `restartPolicy: Never`, and a new name per attempt.
Its own deadlines and TTL are left alone, for in 1.9 they do not fire on time, or at all.
"""

import copy

from scalingsweep_operator import jobstate, pods, resources
from scalingsweep_operator.jobstate import State
from scalingsweep_operator.resources import Object

QUEUE = "kueue.x-k8s.io/queue-name"
"""Label by which Kueue knows its jobs."""
_PORT = {"name": "pytorchjob-port", "containerPort": 23456, "protocol": "TCP"}


def build(
    name: str,
    *,
    namespace: str,
    owner: Object,
    labels: dict[str, str],
    annotations: dict[str, str],
    template: Object,
    nodes: int,
    processes: int,
    queue: str | None,
) -> Object:
    """The job of one attempt.

    Args:
        name: `names.attempt`.
        namespace: the sweep's.
        owner: the ScalingTrial's controller reference (`names.owner`).
        labels: as its pods carry them.
        annotations: what was asked (`names.ASKED`).
        template: `pods.template`, the same for every node.
        nodes: replicas in all, master and workers.
        processes: on each of them.
        queue: Kueue's; with one the job is made suspended, and from then on only Kueue writes that.
    """
    kueue = {QUEUE: queue} if queue else {}
    replicas = {"Master": _replicas(template, 1)}
    if nodes > 1:
        replicas["Worker"] = _replicas(template, nodes - 1)
    return {
        "apiVersion": resources.PYTORCH_JOBS.api_version,
        "kind": resources.PYTORCH_JOBS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels | kueue,
            "annotations": dict(annotations),
            "ownerReferences": [owner],
        },
        "spec": {
            "nprocPerNode": str(processes),
            # workers that still run when the master is done are taken away; those that ended
            # stay, and so does what they said
            "runPolicy": {"cleanPodPolicy": "Running", "suspend": bool(queue)},
            "pytorchReplicaSpecs": replicas,
        },
    }


def read(job: Object) -> State:
    """How it is. A status that makes no sense reads as none."""
    job = jobstate.mapping(job)
    metadata, spec = jobstate.mapping(job.get("metadata")), jobstate.mapping(job.get("spec"))
    running = jobstate.condition(job, "Running")
    return State(
        # once let go it waits on, until training-operator has seen that and set a new startTime
        suspended=jobstate.mapping(spec.get("runPolicy")).get("suspend") is True
        or bool(jobstate.condition(job, "Suspended")),
        queue=jobstate.text(jobstate.mapping(metadata.get("labels")).get(QUEUE)),
        running=jobstate.time(running.get("lastTransitionTime")),
        created=jobstate.time(metadata.get("creationTimestamp")),
        released=jobstate.time(jobstate.mapping(job.get("status")).get("startTime")),
        nodes=_nodes(spec),
        **jobstate.finished(job, "Succeeded", "Failed"),
    )


def _nodes(spec: Object) -> int:
    replicas = jobstate.mapping(spec.get("pytorchReplicaSpecs")).values()
    counts = [jobstate.mapping(each).get("replicas", 1) for each in replicas]
    return sum(count for count in counts if isinstance(count, int)) or 1


def _replicas(template: Object, count: int) -> Object:
    own = copy.deepcopy(template)
    ports = pods.container(own)["ports"]
    if _PORT["containerPort"] not in {port["containerPort"] for port in ports}:
        ports.append(dict(_PORT))
    return {"replicas": count, "restartPolicy": "Never", "template": own}
