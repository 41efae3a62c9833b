"""The pods of a sweep: prepare, trial and fit, with the user's templates merged over ours.

`jobs` and `pytorchjob` put a template into a job; `act` calls all three. Pure: the same sweep gives
the same pod. Trials have no probes: their Services do not publish addresses that are not ready,
and a master that is ready only once all have met would wait for ever.
"""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from scalingsweep.api.running import Resources
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.errors import SpecError
from scalingsweep_operator import claims, contract, merge, security
from scalingsweep_operator.resources import Object
from scalingsweep_operator.vitals import WORKER

METRICS = "metrics"
"""Name of the port with /metrics and /progress."""
GRACE_SECONDS = 120
"""From SIGTERM to SIGKILL where the user's template says nothing: a step and a save."""
_GRACE_FIELD = "terminationGracePeriodSeconds"
_GRACES = range(5, 86_401)
_SHARED_MEMORY = "1Gi"  # NCCL's and gloo's segments; our loader has no processes of its own
_SCRATCH = "/tmp"  # noqa: S108 - a volume of the pod's own
_HOMES = {
    "HOME": _SCRATCH,
    "TMPDIR": _SCRATCH,
    "USER": "scalingsweep",  # getpwuid knows no name of a user without a line in /etc/passwd
    "TORCHINDUCTOR_CACHE_DIR": f"{_SCRATCH}/inductor",
    "TRITON_CACHE_DIR": f"{_SCRATCH}/triton",
    "HF_HOME": f"{_SCRATCH}/huggingface",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}
_SPEC = "spec.podTemplate"
_TRIAL = "spec.trialTemplate.podTemplate"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt that is to be made."""

    role: str
    """`prepare`, `trial` or `fit`: the worker's command."""
    variables: Mapping[str, str]
    """What the work is: `contract.prepare`, `contract.trial` or `contract.fit`."""
    labels: Mapping[str, str]
    """By which the operator finds the pod again (`names`)."""
    image: str
    """The chart's worker image; templates may name another."""
    number: int
    """Of the attempt, from 1."""
    resources: Resources | None = None
    """What a trial gets; None for prepare and fit: they ask for one CPU, and for no GPU."""
    halvings: int = 0
    yields: bool = False


def template(order: Order, sweep: Object, spec: SweepSpec) -> Object:
    """The PodTemplateSpec of an attempt.

    Args:
        order: the attempt.
        sweep: the ScalingSweep.
        spec: its spec.

    Raises:
        SpecError: a template cannot be merged, or writes what is ours; with the field.
    """
    merged = _base(order, spec)
    for patch, at in _patches(order, spec):
        claims.check(patch, at, gpu_resource=_gpu_resource(order), secret=_secret(spec) is not None)
        merged = merge.merge(merged, patch, at)
        _check(merged["spec"], at)  # after each, so that who wrote it is named
    pod = merged["spec"]
    # a worker calls no API server; clouds that give rights to a service account need no such token
    pod.setdefault("automountServiceAccountToken", False)
    attempt = contract.attempt(
        sweep,
        spec,
        order.resources,
        number=order.number,
        grace=pod[_GRACE_FIELD],
        halvings=order.halvings,
        yields=order.yields,
    )
    container(merged)["env"] += contract.variables(contract.placed(attempt))
    return merged


def container(template: Object) -> dict[str, Any]:
    """The container of a template that works."""
    found: list[dict[str, Any]]
    found = [each for each in template["spec"]["containers"] if each["name"] == WORKER]
    return found[0]


def _patches(order: Order, spec: SweepSpec) -> list[tuple[Any, str]]:
    """What goes over ours, in this order; trialTemplate.image stands between the templates."""
    patches: list[tuple[Any, str]] = [(spec.pod_template, _SPEC)]
    if order.role == "trial":
        # podTemplate is for prepare and fit too, which nothing else gives memory
        patches.append((_memory(order.resources), "spec.resources"))
        if spec.trial_template.image:
            image = {"name": WORKER, "image": spec.trial_template.image}
            patches.append(({"spec": {"containers": [image]}}, "spec.trialTemplate.image"))
        patches.append((spec.trial_template.pod_template, _TRIAL))
    return patches


def _base(order: Order, spec: SweepSpec) -> Object:
    gpus = order.resources.gpus_per_node if order.resources else 0
    toleration = {"key": _gpu_resource(order), "operator": "Exists", "effect": "NoSchedule"}
    return {
        "metadata": {"labels": dict(order.labels), "annotations": {}},
        "spec": {
            "restartPolicy": "Never",
            _GRACE_FIELD: GRACE_SECONDS,
            "enableServiceLinks": False,  # a variable for each Service of the namespace
            "securityContext": security.pod(),
            **({"tolerations": [toleration]} if gpus else {}),
            "containers": [_worker(order, spec)],
            "volumes": [
                {"name": "scratch", "emptyDir": {}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _SHARED_MEMORY}},
            ],
        },
    }


def _worker(order: Order, spec: SweepSpec) -> Object:
    return {
        "name": WORKER,
        "image": order.image,
        "command": ["scalingsweep-worker", order.role],
        "env": _environment(order, spec),
        "ports": [{"name": METRICS, "containerPort": contract.PORT, "protocol": "TCP"}],
        "resources": _resources(order.resources),
        "securityContext": security.container(),
        "terminationMessagePath": contract.OUTCOME,
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "scratch", "mountPath": _SCRATCH},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - as above
        ],
    }


def _environment(order: Order, spec: SweepSpec) -> list[Object]:
    address = {"fieldRef": {"fieldPath": "status.podIP"}}
    return [
        {"name": contract.POD_IP, "valueFrom": address},
        *contract.variables(_HOMES),
        *contract.variables({"OMP_NUM_THREADS": str(contract.threads(order.resources))}),
        *_keys(_secret(spec)),
        *contract.variables({"SCALINGSWEEP_OUTCOME": contract.OUTCOME, **order.variables}),
    ]


def _keys(secret: str | None) -> list[Object]:
    """References that kubelet resolves: the operator cannot read the Secret, and never does."""
    if secret is None:
        return []
    optional = {
        "AWS_ACCESS_KEY_ID": False,
        "AWS_SECRET_ACCESS_KEY": False,
        "AWS_SESSION_TOKEN": True,
    }
    return [
        {
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": secret, "key": name, "optional": may_lack}},
        }
        for name, may_lack in optional.items()
    ]


def _resources(given: Resources | None) -> Object:
    if given is None:
        return {"requests": {"cpu": "1"}}  # no limit: tokenizing takes what the node has to spare
    asked = {"cpu": str(given.cpu)}
    if given.memory:
        asked["memory"] = given.memory
    if given.gpus_per_node:
        asked[given.gpu_resource] = str(given.gpus_per_node)
    return {"limits": asked, "requests": copy.copy(asked)}


def _memory(given: Resources | None) -> Object:
    """The memory of a rule as a patch. Of CPUs a rule always has a number, its default if nobody's,
    and so a template's counts.
    """
    if given is None or given.memory is None:
        return {}
    both = {"limits": {"memory": given.memory}, "requests": {"memory": given.memory}}
    return {"spec": {"containers": [{"name": WORKER, "resources": both}]}}


def _gpu_resource(order: Order) -> str:
    return (order.resources or Resources()).gpu_resource


def _secret(spec: SweepSpec) -> str | None:
    return spec.storage.s3.credentials_secret if spec.storage else None


def _check(pod: Object, at: str) -> None:
    """What we read of a merged pod must be there to read."""
    grace = pod.setdefault(_GRACE_FIELD, GRACE_SECONDS)
    if not isinstance(grace, int) or isinstance(grace, bool) or grace not in _GRACES:
        raise SpecError(
            f"{at}.spec.{_GRACE_FIELD}",
            f"is not between {_GRACES[0]} and {_GRACES[-1]} whole seconds: a trial saves in them",
        )
    for field in ("serviceAccountName", "serviceAccount"):
        if not isinstance(pod.get(field, ""), str):
            raise SpecError(f"{at}.spec.{field}", "must be text")
    security.check(pod, at, WORKER)
