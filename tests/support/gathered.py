"""What `gather` would read of a small sweep, for tests of the operator's pure parts."""

from typing import Any

from scalingsweep import resolve
from scalingsweep.api.scalingtrial import TrialAttempt
from scalingsweep_operator import clock, names, resources, studies
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.resources import Object
from support import manifests
from support.space import spec as cluster_spec

SWEEP: Object = {"metadata": {"name": "small", "namespace": "research", "uid": "sweep"}}


def study(**changes: Any) -> studies.Study:
    """The study of `support.space.spec`."""
    body = manifests.whole(cluster_spec(**changes))
    return studies.read({**body, "metadata": {"name": "small", "namespace": "research"}})


def gathered(made: studies.Study, *attempts: TrialAttempt, **changes: Any) -> Gathered:
    """One trial with these attempts, and no job of it."""
    spec = next(iter(resolve.trials(made.plan, manifests.prepared()).values()))
    item: Object = {
        "metadata": {
            "name": names.trial("small", spec.id),
            "uid": "trial",
            "ownerReferences": [names.owner(SWEEP, resources.SWEEPS)],
        },
        "spec": spec.to_wire(),
        "status": {"attempts": [attempt.to_wire() for attempt in attempts]},
    }
    values: dict[str, Any] = {
        "sweep": SWEEP,
        "trials": {item["metadata"]["name"]: item},
        "leaving": frozenset(),
        "foreign": frozenset(),
        "pytorch_jobs": {},
        "trains": True,
        "jobs": (),
        "pods": {},
    }
    return Gathered(**(values | changes))


def job(trial: Object, *, number: int, halvings: str = "0", asked: str = "250880") -> Object:
    """The PyTorchJob of an attempt at a trial, as training-operator first sees it."""
    name = trial["metadata"]["name"]
    return {
        "metadata": {
            "name": names.attempt(name, number),
            "uid": "job",
            "creationTimestamp": clock.stamp(100).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "labels": {names.TRIAL: name, names.ATTEMPT: str(number)},
            "annotations": {names.HALVINGS: halvings, names.ASKED: asked},
            "ownerReferences": [names.owner(trial, resources.TRIALS)],
        },
        "spec": {"pytorchReplicaSpecs": {"Master": {"replicas": 1}}},
    }
