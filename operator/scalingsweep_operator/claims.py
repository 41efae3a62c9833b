"""What of a pod is ours, and refused in a user's template. `pods` asks before it merges.

Ours is what the contract with the worker, the rendezvous and our book-keeping rest on: were it
changed, an attempt would hang, or be judged wrongly, or write over another's. What a pod may do to
its node (privileged, host paths, the host's IPC, being root) is not ours to judge: whoever makes a
sweep may make pods, and the namespace's Pod Security decides over ours as over theirs.
"""

from collections.abc import Iterator
from typing import Any

from scalingsweep.errors import SpecError
from scalingsweep_operator import merge, names
from scalingsweep_operator.vitals import WORKER

_SECRET_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

_POD = {
    "restartPolicy": "is Never: a failed attempt is followed by a new one, with its own back-off",
    "activeDeadlineSeconds": "would end pods without a word: set spec.limits.deadline",
    "readinessGates": "would keep rank 0 out of DNS until it is ready, which waits for the others",
}
_HOST = {
    # torchrun's port, /progress and its address are per pod; on a node they would be others'
    "hostNetwork": "cannot be true: pods of a trial may share a node, and their ports are fixed",
    # a worker ends leftovers of its attempt by the outcome path that they inherited (/proc)
    "hostPID": "cannot be true: a worker would see, and end, processes of other trials",
}
_CONTAINER = {
    "command": "is the contract with the worker",
    "args": "are the contract with the worker",
    "terminationMessagePath": "is where the worker writes its outcome",
    "terminationMessagePolicy": "is File: the worker's outcome is never made of its log",
    "restartPolicy": "is the pod's, Never",
    "restartPolicyRules": "would start a worker again in an attempt that has ended",
    "livenessProbe": "would end a worker that waits for the others or writes a checkpoint",
    "readinessProbe": "would keep rank 0 out of DNS until it is ready, which waits for the others",
    "startupProbe": "would keep rank 0 out of DNS until it is ready, which waits for the others",
}
_LABELS = {
    f"{names.DOMAIN}/": "is how the operator finds its pods",
    "training.kubeflow.org/": "is how training-operator finds its pods",
    "kueue.x-k8s.io/": "would queue pods one by one: set spec.queueName",
}
_VARIABLES = ("SCALINGSWEEP_", "PET_", "MASTER_")
_VARIABLE_NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "POD_IP")


def check(patch: Any, at: str, *, gpu_resource: str, secret: bool) -> None:
    """Refuse a template that writes what is ours.

    Args:
        patch: the user's template; anything may be in it.
        at: its path in what the user wrote.
        gpu_resource: the extended resource that `spec.resources` asks for.
        secret: whether the worker's keys come from a Secret that the storage names.

    Raises:
        SpecError: the first field of ours.
    """
    for field, why in _found(patch, at, gpu_resource, secret):
        raise SpecError(field, f"{why}; leave it out")


def _found(patch: Any, at: str, gpu: str, secret: bool) -> Iterator[tuple[str, str]]:
    for key in _of(patch):
        if key not in {"metadata", "spec"}:
            yield f"{at}.{key}", "is unknown: a pod template has metadata and spec"
    metadata, spec = _of(_of(patch).get("metadata")), _of(_of(patch).get("spec"))
    for key in metadata:
        if key not in {"labels", "annotations"}:
            yield f"{at}.metadata.{key}", "is not for templates, which have labels and annotations"
    for kind in ("labels", "annotations"):
        for key in _of(metadata.get(kind)):
            reasons = [why for prefix, why in _LABELS.items() if key.startswith(prefix)]
            yield from ((f"{at}.metadata.{kind}[{merge.label(key)}]", why) for why in reasons)
    yield from ((f"{at}.spec.{key}", why) for key, why in _POD.items() if key in spec)
    yield from (
        (f"{at}.spec.{key}", why)
        for key, why in _HOST.items()
        if spec.get(key) is not None and spec[key] is not False
    )
    for kind in ("containers", "initContainers"):
        for item in _items(spec.get(kind)):
            name = item.get("name")
            place = f"{at}.spec.{kind}[{merge.label(name)}]"
            if kind == "containers" and name == WORKER:
                yield from _worker(item, place, gpu, secret)
            elif kind == "containers" and "readinessProbe" in item:
                yield f"{place}.readinessProbe", _CONTAINER["readinessProbe"]
            elif name == WORKER:
                yield place, f"is a name for the worker alone: call it otherwise than {WORKER}"


def _worker(item: dict[str, Any], at: str, gpu: str, secret: bool) -> Iterator[tuple[str, str]]:
    yield from ((f"{at}.{key}", why) for key, why in _CONTAINER.items() if key in item)
    for variable in _items(item.get("env")):
        name = variable.get("name")
        if isinstance(name, str) and _is_ours(name, secret):
            yield f"{at}.env[{merge.label(name)}]", "is set by the operator"
    for kind in ("limits", "requests"):
        if gpu in _of(_of(item.get("resources")).get(kind)):
            why = "follows from spec.resources[].gpusPerNode"
            yield f"{at}.resources.{kind}[{merge.label(gpu)}]", why


def _is_ours(name: str, secret: bool) -> bool:
    return (
        name.startswith(_VARIABLES) or name in _VARIABLE_NAMES or (secret and name in _SECRET_KEYS)
    )


def _of(value: Any) -> dict[str, Any]:
    """A map; `merge` refuses what is none."""
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
