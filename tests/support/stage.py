"""A real API server with one sweep on it, whose nodes are played by the test.

The API server, the garbage collector and the Job controller are real. What the API layer lacks, a
training-operator and a kubelet, is played: `serve` makes the pods of PyTorchJobs, `run` and `end`
write what kubelet writes. The messages that kubelet is made to write are outcomes as the worker
writes them (`api.outcome`).
"""

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from hack.cluster import binaries
from hack.cluster.api import Api as Server

from scalingsweep import resolve
from scalingsweep.api.outcome import Class, FitSummary, Outcome
from scalingsweep.api.prepared import Prepared
from scalingsweep_operator import api as wire
from scalingsweep_operator import names, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.reconcile import Reconciler
from scalingsweep_operator.resources import Object
from scalingsweep_operator.settings import Settings
from support import apiserver, manifests, spoiled
from support.space import NAME, Space

IMAGE = "worker:1"
_PYTORCH_JOB = "base/crds/kubeflow.org_pytorchjobs.yaml"


def install(server: Server) -> None:
    """PyTorchJob's CRD, from training-operator's own manifests."""
    server.kubectl(
        "apply", "--server-side", "-f", str(binaries.data("training-operator") / _PYTORCH_JOB)
    )
    wanted = "crd/pytorchjobs.kubeflow.org"
    # kubectl fails at a status that has no conditions yet
    for _ in range(30):
        if server.kubectl.succeeds("wait", wanted, "--for=condition=Established", "--timeout=30s"):
            return
        time.sleep(0.1)
    raise AssertionError(f"{wanted} is not established")


class Stage(Space):
    """One namespace with one sweep, and those who work in it."""

    def __init__(self, server: Server, client: apiserver.Client) -> None:
        """A new namespace on a server that knows all kinds."""
        super().__init__(server, client)
        self.metrics = Metrics()
        self.one_write_a_life = False
        """Whether each of the operator's processes dies with its first write."""
        self.deaths = 0
        self.without_pytorch_jobs = False
        """Whether training-operator's CRD is missing."""

    # --- the operator

    def call(self, what: Callable[[Api], Awaitable[Any]]) -> Any:
        """Anything with an Api."""

        async def go() -> Any:
            http = await wire.connect(self.server.kubeconfig)
            async with Api(http, metrics=self.metrics) as api:
                return await what(api)

        return asyncio.run(go())

    def look(self, name: str = NAME) -> float | None:
        """One reconcile, by a process that has just started and knows nothing."""
        settings = Settings(worker_image=IMAGE)

        async def once(api: Api) -> float | None:
            made = Reconciler(api=self._wrapped(api), settings=settings, metrics=self.metrics)
            return await made.reconcile(self.namespace, name)

        for _ in range(100):
            try:
                found: float | None = self.call(once)
            except spoiled.Died:
                self.deaths += 1
                continue
            return found
        raise AssertionError("it never comes to the end of one look")

    def _wrapped(self, api: Api) -> Api:
        if self.one_write_a_life:
            return cast("Api", spoiled.Mortal(api))
        return cast("Api", spoiled.Bare(api)) if self.without_pytorch_jobs else api

    def settle(self, name: str = NAME, most: int = 6) -> None:
        """Reconcile until nothing changes any more."""
        for _ in range(most):
            before = self._versions()
            self.look(name)
            self.serve()
            if self._versions() == before:
                return

    def look_until(self, holds: Callable[[], bool]) -> None:
        """Look until something is so."""

        def looked() -> bool:
            self.look()
            self.serve()
            return holds()

        self.until(looked)

    # --- training-operator and kubelet

    def serve(self) -> None:
        """Let go of pods that are being deleted, as kubelet does, and make those of PyTorchJobs."""
        for pod in self.items(resources.PODS):
            if names.leaving(pod):
                self.delete(resources.PODS, pod["metadata"]["name"], now=True)
        there = {pod["metadata"]["name"] for pod in self.items(resources.PODS)}
        for job in self.items(resources.PYTORCH_JOBS):
            if job["spec"]["runPolicy"].get("suspend") or names.leaving(job):
                continue
            for kind, replicas in job["spec"]["pytorchReplicaSpecs"].items():
                for index in range(replicas["replicas"]):
                    name = f"{job['metadata']['name']}-{kind.lower()}-{index}"
                    if name not in there:
                        self._make_pod(name, job, kind.lower(), replicas["template"])

    def run(self, job: str) -> None:
        """All pods of a job run."""
        for pod in self.pods(job):
            self.container(pod, "Running", {"running": {"startedAt": now()}})

    def end(self, job: str, said: Outcome | str, *, exit_code: int = 1, pod: int = 0) -> None:
        """One pod of a job ends, with these words in its termination message."""
        if isinstance(said, Outcome):
            exit_code = 0 if said.klass is Class.DONE else exit_code
        message = said.to_json() if isinstance(said, Outcome) else said
        state = {
            "exitCode": exit_code,
            "reason": "Completed" if exit_code == 0 else "Error",
            "message": message,
            "startedAt": now(),
            "finishedAt": now(),
        }
        phase = "Succeeded" if exit_code == 0 else "Failed"
        self.container(self.pods(job)[pod], phase, {"terminated": state})

    def killed_for_memory(self, job: str) -> None:
        """The kernel kills a job's master, which cannot say anything."""
        state = {"exitCode": 137, "reason": "OOMKilled", "startedAt": now(), "finishedAt": now()}
        self.container(self.pods(job)[0], "Failed", {"terminated": state})

    def empty_statuses(self) -> None:
        """Someone removes everything that the operator has recorded."""
        for kind in (resources.TRIALS, resources.SWEEPS):
            for item in self.items(kind):
                path = kind.path(self.namespace, item["metadata"]["name"], "status")
                answer = self.client.ask("PATCH", path, {"status": None})
                assert answer.status == 200, answer.message

    def done(self, trial: str, number: int = 1) -> None:
        """An attempt at a trial has everything in S3."""
        job = self.job_of(trial, number)
        asked = self._read(resources.PYTORCH_JOBS, job)["metadata"]["annotations"][names.ASKED]
        budgets = tuple(int(D) for D in asked.split(","))
        self.until(lambda: self._served(job))
        self.run(job)
        self.end(job, Outcome(klass=Class.DONE, budgets=budgets))

    def _served(self, job: str) -> bool:
        """Its pods are there: those of a former job of its name may have to go first."""
        self.serve()
        return bool(self.pods(job))

    def prepare(self, name: str = NAME, **changes: Any) -> None:
        """Prepare has answered."""
        self.look(name)
        job = self.role_job("prepare", name)
        self.end(job, Outcome(klass=Class.DONE, prepared=self.prepared(name, **changes)))
        self.settle(name)

    def prepared(self, name: str = NAME, **changes: Any) -> Prepared:
        """What prepare would answer for the sweep as it is now."""
        corpora = tuple(corpus["name"] for corpus in self.sweep(name)["spec"]["corpora"])
        return manifests.prepared(corpora, **({"observed": resolve.to_bitmap([False])} | changes))

    def fit(self, name: str = NAME) -> None:
        """The fit has ended well."""
        summary = FitSummary(observations=14, missing=0, report=f"sweeps/x/{name}/report.html")
        self.end(self.role_job("fit", name), Outcome(klass=Class.DONE, fit=summary))

    def role_job(self, role: str, name: str = NAME) -> str:
        """The newest Job of a role, with its pod."""
        job = self.newest(role, name)
        assert job, f"no {role} job"
        for _ in range(100):
            if self.pods(job):
                return job
            self.kubectl("wait", f"job/{job}", "--for=create", "--timeout=5s")
        raise AssertionError(f"the Job controller makes no pod of {job}")

    def finish(self, name: str = NAME) -> None:
        """Let everything that runs end well, until the sweep has ended."""
        for _ in range(40):
            self.settle(name)
            if self.status(name).completion_time is not None:
                return
            self.done_all()
            if str(self.status(name).phase) == "Fitting":
                self.fit(name)
        raise AssertionError(f"it does not end: {self.status(name)}")

    def train(self, name: str = NAME) -> None:
        """Let every trial end well, until the fit is due."""
        for _ in range(10):
            self.settle(name)
            if str(self.status(name).phase) == "Fitting":
                return
            self.done_all()
        raise AssertionError(f"it comes to no fit: {self.status(name)}")

    def done_all(self) -> None:
        """Everything that runs has all its results in S3."""
        for trial, item in self.trials().items():
            for attempt in item.get("status", {}).get("attempts", []):
                if "class" not in attempt and "job" in attempt:
                    self.done(trial, attempt["number"])

    def _make_pod(self, name: str, job: Object, kind: str, template: Object) -> None:
        metadata = {
            **template.get("metadata", {}),
            "name": name,
            "namespace": self.namespace,
            "ownerReferences": [names.owner(job, resources.PYTORCH_JOBS)],
        }
        metadata["labels"] = {
            **metadata.get("labels", {}),
            "training.kubeflow.org/job-name": job["metadata"]["name"],
            "training.kubeflow.org/replica-type": kind,
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        answer = self._write("POST", resources.PODS, "", body)
        assert answer.status in {201, 409}, answer.message

    def write_pod(self, pod: Object, status: dict[str, Any]) -> None:
        """What kubelet says of a pod."""
        path = resources.PODS.path(self.namespace, pod["metadata"]["name"], "status")
        answer = self.client.ask("PATCH", path, {"status": status})
        assert answer.status == 200, answer.message

    def container(self, pod: Object, phase: str, state: dict[str, Any]) -> None:
        """What kubelet says of a pod's container."""
        container = {
            "name": "pytorch",
            "state": state,
            "image": IMAGE,
            "imageID": "",
            "ready": phase == "Running",
            "restartCount": 0,
        }
        status = {
            "phase": phase,
            "startTime": pod.get("status", {}).get("startTime") or now(),
            "containerStatuses": [container],
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
        }
        self.write_pod(pod, status)

    def stay(self, pod: Object, stays: bool = True) -> None:
        """A pod that is deleted stays in its grace; or it may go."""
        held = ["scalingsweep.dev/stays"] if stays else None
        path = resources.PODS.path(self.namespace, pod["metadata"]["name"])
        answer = self.client.ask("PATCH", path, {"metadata": {"finalizers": held}})
        assert answer.status == 200, answer.message

    def gone(self, job: str) -> None:
        """Kubelet lets go of the pods of a job that was deleted."""
        for pod in self.items(resources.PODS):
            if pod["metadata"]["name"].startswith(f"{job}-"):
                self.delete(resources.PODS, pod["metadata"]["name"], now=True)


def now() -> str:
    """The time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
