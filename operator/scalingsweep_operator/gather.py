"""Everything of one sweep that the cluster holds, read at one time. `reconcile` begins with it.

Lists, not caches: what decides is as new as the API server's own answer, and nothing is believed
of an object but what its controller and labels say.
"""

import asyncio
import dataclasses
from collections.abc import Mapping

from scalingsweep_operator import faults, names, resources, vitals
from scalingsweep_operator.api import Api
from scalingsweep_operator.resources import Object
from scalingsweep_operator.vitals import Vitals


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """One sweep and what belongs to it."""

    sweep: Object
    trials: Mapping[str, Object]
    """Our ScalingTrials by name; those that are being deleted are left out."""
    leaving: frozenset[str]
    """Names of ScalingTrials and PyTorchJobs that are going: they are free before long."""
    foreign: frozenset[str]
    """Names of such as are another's, and may stay."""
    pytorch_jobs: Mapping[str, Object]
    """By name, each with a controller among `trials`, or with one that is gone already."""
    trains: bool
    """Whether the cluster knows PyTorchJob at all."""
    jobs: tuple[Object, ...]
    """Prepare and fit, the oldest first."""
    pods: Mapping[str, tuple[Vitals, ...]]
    """By UID of the job that controls them."""

    @property
    def uid(self) -> str:
        """The sweep's."""
        return str(self.sweep["metadata"]["uid"])


async def gather(api: Api, namespace: str, name: str) -> Gathered | None:
    """Read it; None where the sweep is gone, or going: the garbage collector has the rest."""
    sweep = await api.get(resources.SWEEPS, namespace, name)
    if sweep is None or names.leaving(sweep):
        return None
    labels = names.selector(name)
    trials, pytorch_jobs, jobs, pods = await asyncio.gather(
        api.list(resources.TRIALS, namespace, labels=labels),
        _pytorch_jobs(api, namespace, labels),
        api.list(resources.JOBS, namespace, labels=labels),
        api.list(resources.PODS, namespace, labels=labels),
    )
    uid = sweep["metadata"]["uid"]
    ours = {_name(t): t for t in trials if names.owned(t, uid) and not names.leaving(t)}
    owners = {trial["metadata"]["uid"] for trial in ours.values()}
    own_jobs = [job for job in pytorch_jobs or [] if names.controller(job) in owners]
    others = [t for t in trials if _name(t) not in ours]
    others += [job for job in pytorch_jobs or [] if names.controller(job) not in owners]
    leaving = frozenset(_name(each) for each in others if names.leaving(each))
    return Gathered(
        sweep=sweep,
        trials=ours,
        leaving=leaving,
        foreign=frozenset(_name(each) for each in others) - leaving,
        pytorch_jobs={_name(job): job for job in own_jobs},
        trains=pytorch_jobs is not None,
        jobs=tuple(sorted((j for j in jobs if names.owned(j, uid)), key=_age)),
        pods=_by_owner(pods, _gpu_resources(sweep)),
    )


async def _pytorch_jobs(api: Api, namespace: str, labels: str) -> list[Object] | None:
    try:
        return await api.list(resources.PYTORCH_JOBS, namespace, labels=labels)
    except faults.Unknown:
        return None


def _gpu_resources(sweep: Object) -> frozenset[str]:
    """What a pod's GPUs are called; the API server has filled in the defaults."""
    rules = sweep["spec"].get("resources", [])
    return frozenset(rule.get("gpuResource", "") for rule in rules)


def _by_owner(pods: list[Object], gpu_resources: frozenset[str]) -> dict[str, tuple[Vitals, ...]]:
    found: dict[str, tuple[Vitals, ...]] = {}
    for pod in pods:
        read = vitals.read(pod, gpu_resources)
        if read.owner:
            found[read.owner] = (*found.get(read.owner, ()), read)
    return found


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _age(item: Object) -> tuple[str, str]:
    return str(item["metadata"]["creationTimestamp"]), _name(item)
