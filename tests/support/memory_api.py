"""An API server and its nodes in memory, for a test that is quick and whose clock stands still.

It keeps objects as a real one does, as far as the operator's looks can tell: UIDs, versions,
labels, deletes that wait for pods. Whatever a real server alone knows (schemas, admission, races)
is tested on a real one (tests/cluster). Jobs get their pods at once, and pods run at once.
"""

import copy
import itertools
from typing import Any

from scalingsweep_operator import clock, faults, names, resources
from scalingsweep_operator.resources import Object, Resource

Objects = list[Object]


class MemoryApi:
    """What `scalingsweep_operator.api.Api` is to its callers, and kubelet's hands beside it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._kinds: dict[str, dict[str, Object]] = {}
        self._versions = itertools.count(1)

    # --- the operator's calls

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object."""
        del namespace
        return copy.deepcopy(self._of(resource).get(name))

    async def list(self, resource: Resource, namespace: str | None, *, labels: str = "") -> Objects:
        """All objects with a label."""
        del namespace
        name, _, value = labels.partition("=")
        return [
            copy.deepcopy(item)
            for item in self._of(resource).values()
            if not labels or item["metadata"].get("labels", {}).get(name) == value
        ]

    async def create(
        self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False
    ) -> Object:
        """Make an object, and the pods that follow from it."""
        name = body["metadata"]["name"]
        if name in self._of(resource):
            raise faults.Exists(name)
        if dry_run:
            return body
        item = copy.deepcopy(body)
        item["metadata"] |= {
            "namespace": namespace,
            "uid": f"uid-{next(self._versions)}",
            "generation": 1,
            "creationTimestamp": self._stamp(),
        }
        made = self._keep(resource, item)
        for kind, template in _templates(made):
            self._make_pod(resource, made, kind, template)
        return made

    async def replace_status(
        self, resource: Resource, item: Object, status: dict[str, Any]
    ) -> Object:
        """Write a status over the one that was read."""
        there = self._read(resource, item)
        return self._keep(resource, {**there, "status": copy.deepcopy(status)})

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Object, *, version: str
    ) -> Object:
        """Replace fields of a spec."""
        item = {"metadata": {"name": name, "resourceVersion": version, "namespace": namespace}}
        there = self._read(resource, item)
        return self._keep(resource, {**there, "spec": {**there["spec"], **body["spec"]}})

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> bool:
        """Delete an object; its pods are told to leave."""
        del namespace
        item = self._of(resource).get(name)
        if item is None or item["metadata"]["uid"] != uid:
            return False
        del self._of(resource)[name]
        for pod in self._pods(uid):
            if pod["status"]["phase"] == "Running":
                pod["metadata"]["deletionTimestamp"] = self._stamp(later=30)
            else:
                del self._of(resources.PODS)[pod["metadata"]["name"]]
        return True

    # --- kubelet

    def alive(self) -> Objects:
        """Pods that run."""
        pods = self._of(resources.PODS).values()
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    def end(self, pod: Object, exit_code: int, message: str) -> None:
        """A pod's worker ends."""
        state = {
            "exitCode": exit_code,
            "reason": "Completed" if exit_code == 0 else "Error",
            "message": message,
            "finishedAt": self._stamp(),
        }
        pod["status"]["phase"] = "Succeeded" if exit_code == 0 else "Failed"
        pod["status"]["containerStatuses"][0]["state"] = {"terminated": state}

    def let_go(self) -> None:
        """Pods that were told to leave, and have ended, are gone."""
        pods = self._of(resources.PODS)
        for name, pod in list(pods.items()):
            if names.leaving(pod) and pod not in self.alive():
                del pods[name]

    def _make_pod(self, resource: Resource, job: Object, kind: str, template: Object) -> None:
        metadata = copy.deepcopy(template["metadata"])
        name = f"{job['metadata']['name']}-{kind}-0"
        metadata["labels"]["training.kubeflow.org/replica-type"] = kind
        metadata |= {
            "name": name,
            "uid": f"uid-{next(self._versions)}",
            "creationTimestamp": self._stamp(),
            "ownerReferences": [names.owner(job, resource)],
        }
        state = {"running": {"startedAt": self._stamp()}}
        status = {
            "phase": "Running",
            "startTime": self._stamp(),
            "containerStatuses": [{"name": "pytorch", "state": state}],
        }
        pod = {"metadata": metadata, "spec": template["spec"], "status": status}
        self._of(resources.PODS)[name] = pod

    # --- what there is

    def _of(self, resource: Resource) -> dict[str, Object]:
        return self._kinds.setdefault(resource.plural, {})

    def _pods(self, owner: str) -> Objects:
        return [p for p in self._of(resources.PODS).values() if names.owned(p, owner)]

    def _read(self, resource: Resource, item: Object) -> Object:
        there = self._of(resource).get(item["metadata"]["name"])
        version = item["metadata"]["resourceVersion"]
        if there is None or there["metadata"]["resourceVersion"] != version:
            raise faults.Conflict(item["metadata"]["name"])
        return there

    def _keep(self, resource: Resource, item: Object) -> Object:
        metadata = {**item["metadata"], "resourceVersion": str(next(self._versions))}
        self._of(resource)[metadata["name"]] = {**item, "metadata": metadata}
        return copy.deepcopy(self._of(resource)[metadata["name"]])

    def _stamp(self, later: float = 0) -> str:
        return clock.stamp(self.now + later).strftime("%Y-%m-%dT%H:%M:%SZ")


def _templates(item: Object) -> list[tuple[str, Object]]:
    """The pods that a controller makes of an object: what each is called, and its template."""
    spec = item.get("spec", {})
    if item["kind"] == resources.JOBS.kind:
        return [("master", spec["template"])]
    replicas = spec.get("pytorchReplicaSpecs", {}) if item["kind"] == "PyTorchJob" else {}
    return [(kind.lower(), each["template"]) for kind, each in replicas.items()]
