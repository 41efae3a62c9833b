"""Pods of a small study as the operator would make them, for tests of templates and of jobs."""

from typing import Any

from scalingsweep import resolve
from scalingsweep.api.running import Resources
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.api.trial import TrialSpec
from scalingsweep_operator import contract, names, pods, resources
from scalingsweep_operator.resources import Object
from support import manifests

SWEEP: Object = {
    "apiVersion": "scalingsweep.dev/v1alpha1",
    "kind": "ScalingSweep",
    "metadata": {"name": "small", "namespace": "default", "uid": "u-1"},
}
S3 = {"bucket": "studies", "credentialsSecret": "s3"}
GPUS = Resources(nodes=2, gpus_per_node=4, cpu=8, memory="16Gi", accelerator="H100")
ROLES = ("prepare", "trial", "fit")


def spec(pod: Any = None, trial: Any = None, image: str | None = None, **s3: Any) -> SweepSpec:
    """A spec with these templates; they are untrusted, and so may be anything."""
    own = {"podTemplate": trial or {}} | ({"image": image} if image else {})
    return SweepSpec.from_wire(
        manifests.small()
        | {"storage": {"s3": S3 | s3}, "podTemplate": pod or {}, "trialTemplate": own}
    )


def trial() -> TrialSpec:
    """The first of the study's trials."""
    return next(iter(resolve.trials(manifests.planned(), manifests.prepared()).values()))


def order(role: str, given: SweepSpec, resources: Resources | None = GPUS) -> pods.Order:
    """The first attempt."""
    variables = {
        "prepare": lambda: contract.prepare(given),
        "trial": lambda: contract.trial(trial()),
        "fit": lambda: contract.fit(given, manifests.prepared()),
    }[role]()
    return pods.Order(
        role=role,
        variables=variables,
        labels={names.SWEEP: "small", names.ROLE: role, names.ATTEMPT: "1"},
        image="localhost/worker:1",
        number=1,
        resources=resources if role == "trial" else None,
    )


def template(role: str, given: SweepSpec, resources: Resources | None = GPUS) -> Object:
    """The template of the first attempt."""
    return pods.template(order(role, given, resources), SWEEP, given)


def owner(parent: Object = SWEEP) -> Object:
    return names.owner(parent, resources.SWEEPS)
