"""One namespace on a real API server: what a user does there, and what there is to see.

`stage` adds those who work in it, the operator, training-operator and kubelet.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

from hack.cluster.api import Api as Server

from scalingsweep.api.status import SweepStatus
from scalingsweep_operator import names, resources
from scalingsweep_operator.resources import Object, Resource
from support import apiserver, manifests

NAME = "small"


def spec(**changes: Any) -> dict[str, Any]:
    """A study of two sizes and three arms, on the cluster."""
    small = manifests.small()
    for corpus in small["corpora"]:
        corpus["uri"] = f"s3://texts/{corpus['name']}/"
    small["arms"] = small["arms"][:3]
    small["storage"] = {"s3": {"bucket": "studies", "credentialsSecret": "s3"}}
    small["resources"] = [{"gpusPerNode": 1, "accelerator": "CPU"}]
    small["retry"] = {"backoffSeconds": 0}
    small["fit"] = {"identifiability": "Warn"}
    return small | changes


class Space:
    """One namespace with one sweep."""

    def __init__(self, server: Server, client: apiserver.Client) -> None:
        """A new namespace on a server that knows all kinds."""
        self.server = server
        self.client = client
        self.namespace = f"stage-{uuid.uuid4().hex[:8]}"
        self.kubectl("create", "namespace", self.namespace, namespaced=False)
        self.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=30s")

    def kubectl(self, *arguments: str, namespaced: bool = True, given: Any = None) -> str:
        """kubectl, in the stage's namespace."""
        where = [f"--namespace={self.namespace}"] if namespaced else []
        return self.server.kubectl(*arguments, *where, given=given)

    # --- the user

    def apply(self, name: str = NAME, **changes: Any) -> Object:
        """Apply the sweep."""
        body = manifests.whole(spec(**changes))
        body["metadata"] = {"name": name, "namespace": self.namespace}
        self.server.kubectl("apply", "--server-side", "-f", "-", given=body)
        return self.sweep(name)

    def edit(self, name: str = NAME, **changes: Any) -> None:
        """Edit its spec."""
        answer = self._write("PATCH", resources.SWEEPS, name, {"spec": changes})
        assert answer.status == 200, answer.message

    def delete(self, resource: Resource, name: str, *, now: bool = False) -> None:
        """Someone deletes an object."""
        query = {"gracePeriodSeconds": "0"} if now else {}
        path = resource.path(self.namespace, name)
        answer = self.client.ask("DELETE", path, {"propagationPolicy": "Background"}, **query)
        assert answer.status in {200, 202, 404}, answer.message

    # --- what there is

    def written(self) -> set[tuple[str, str]]:
        """What the operator has written, to see whether it writes; a Job's status is not its."""
        records = {
            (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
            for kind in (resources.SWEEPS, resources.TRIALS)
            for item in self.items(kind)
        }
        jobs = {
            (item["metadata"]["uid"], item["metadata"].get("deletionTimestamp", ""))
            for kind in (resources.PYTORCH_JOBS, resources.JOBS)
            for item in self.items(kind)
        }
        return records | jobs

    def sweep(self, name: str = NAME) -> Object:
        """The ScalingSweep."""
        found: Object = self._read(resources.SWEEPS, name)
        return found

    def status(self, name: str = NAME) -> SweepStatus:
        """Its status."""
        return SweepStatus.from_wire(self.sweep(name).get("status", {}))

    def condition(self, kind: str, name: str = NAME) -> tuple[str, str]:
        """A condition's status and reason."""
        found = {str(c.type): c for c in self.status(name).conditions}[kind]
        return str(found.status), str(found.reason)

    def trials(self) -> dict[str, Object]:
        """ScalingTrials by `arm/size`."""
        items = self.items(resources.TRIALS)
        return {f"{t['spec']['arm']}/{t['spec']['size']}": t for t in items}

    def items(self, resource: Resource, labels: str = "") -> list[Object]:
        """Everything of a kind in the namespace."""
        for _ in range(5):
            answer = self.client.ask("GET", resource.path(self.namespace), labelSelector=labels)
            if answer.status not in {429, 500, 503}:  # of a machine that does too much at once
                break
            time.sleep(1)
        assert answer.status == 200, answer.message
        found: list[Object] = answer.body["items"]
        return found

    def jobs(self) -> list[str]:
        """Names of PyTorchJobs that are there, and are not leaving."""
        items = self.items(resources.PYTORCH_JOBS)
        return sorted(job["metadata"]["name"] for job in items if not names.leaving(job))

    def job_of(self, trial: str, number: int = 1) -> str:
        """The PyTorchJob of an attempt at `arm/size`."""
        return names.attempt(self.trials()[trial]["metadata"]["name"], number)

    def every_job(self) -> dict[str, str]:
        """UIDs of all PyTorchJobs by name, those that are leaving too."""
        items = self.items(resources.PYTORCH_JOBS)
        return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}

    def attempt(self, trial: str) -> dict[str, Any]:
        """The newest attempt that is recorded of `arm/size`."""
        found: dict[str, Any] = self.trials()[trial]["status"]["attempts"][-1]
        return found

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it never comes to be"
            time.sleep(0.2)

    def newest(self, role: str, name: str = NAME) -> str:
        """The newest Job of a role that is the sweep's; empty where there is none."""
        selector = f"{names.ROLE}={role},{names.SWEEP}={name}"
        uid = self.sweep(name)["metadata"]["uid"]
        found = [job for job in self.items(resources.JOBS, selector) if names.owned(job, uid)]
        living = [job for job in found if not names.leaving(job)]
        living.sort(key=lambda job: str(job["metadata"]["creationTimestamp"]))
        return str(living[-1]["metadata"]["name"]) if living else ""

    def events(self) -> list[tuple[str, str]]:
        """Reasons and notes of Events."""
        items = self.items(resources.EVENTS)
        return [(event["reason"], event.get("note", "")) for event in items]

    def told(self, reason: str, words: str) -> bool:
        """Whether an Event says so."""
        return any(r == reason and words in note for r, note in self.events())

    def message(self, trial: str) -> str:
        """What a trial's status says."""
        return str(self.trials()[trial]["status"].get("message", ""))

    def pods(self, job: str) -> list[Object]:
        """The pods of a job, the master first."""
        uids = [
            item["metadata"]["uid"]
            for kind in (resources.PYTORCH_JOBS, resources.JOBS)
            if (item := self._find(kind, job)) is not None
        ]
        found = [pod for pod in self.items(resources.PODS) if names.controller(pod) in uids]
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def _read(self, resource: Resource, name: str) -> Object:
        found = self._find(resource, name)
        assert found is not None, f"no {resource.kind} {name}"
        return found

    def _find(self, resource: Resource, name: str) -> Object | None:
        answer = self.client.ask("GET", resource.path(self.namespace, name))
        return answer.body if answer.status == 200 else None

    def _write(self, method: str, resource: Resource, name: str, body: Any) -> apiserver.Answer:
        return self.client.ask(method, resource.path(self.namespace, name), body)

    def _versions(self) -> set[tuple[str, str]]:
        kinds = (resources.SWEEPS, resources.TRIALS, resources.PYTORCH_JOBS, resources.JOBS)
        return {
            (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
            for kind in kinds
            for item in self.items(kind)
        }
