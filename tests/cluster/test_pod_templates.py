"""A real API server takes the jobs that we build, and Pod Security's `restricted` our pods."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hack.cluster import binaries
from hack.cluster.api import Api

from scalingsweep.api.running import Resources
from scalingsweep_operator import jobs, names, pytorchjob, resources
from support import apiserver
from support import pods as small

pytestmark = pytest.mark.cluster

SPACE = "restricted"
CRD = "base/crds/kubeflow.org_pytorchjobs.yaml"
FULL: dict[str, Any] = {
    "metadata": {"labels": {"team": "x"}, "annotations": {"a": "b"}},
    "spec": {
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 300,
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {
                "topologyKey": "zone",
                "maxSkew": 1,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"team": "x"}},
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "10Gi"}}],
        "containers": [
            {
                "name": "pytorch",
                "env": [
                    {"name": "NCCL_DEBUG", "value": "INFO"},
                    {"name": "HOME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                "securityContext": {"runAsUser": 1000},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def client(api_server: Api) -> Iterator[apiserver.Client]:
    """An API server with PyTorchJob and a namespace that is restricted."""
    kubectl = api_server.kubectl
    file = binaries.data("training-operator") / CRD
    kubectl("apply", "--server-side", "-f", str(file))
    kubectl("create", "namespace", SPACE)
    kubectl("label", "namespace", SPACE, "pod-security.kubernetes.io/enforce=restricted")
    made = f"--namespace={SPACE}"
    kubectl("wait", "serviceaccount/default", made, "--for=create", "--timeout=30s")
    ends = time.monotonic() + 30  # kubectl cannot wait for conditions before there are any
    while not kubectl.succeeds("get", "pytorchjobs"):
        assert time.monotonic() < ends, "PyTorchJob is not served"
        time.sleep(0.1)
    client = apiserver.Client(api_server.kubeconfig)
    yield client
    client.close()


def _job(role: str, pod: Any = None) -> Any:
    return jobs.build(
        names.job("small", role, "0123456789", 1),
        namespace=SPACE,
        owner=small.owner(),
        labels={names.SWEEP: "small", names.ROLE: role, names.ATTEMPT: "1"},
        template=small.template(role, small.spec(pod)),
    )


def _pytorch_job(nodes: int, queue: str | None = None, pod: Any = None) -> Any:
    return pytorchjob.build(
        names.attempt("small-01234567", 1),
        namespace=SPACE,
        owner=small.owner(),
        labels={names.SWEEP: "small", names.ROLE: "trial", names.ATTEMPT: "1"},
        annotations={names.ASKED: "640"},
        template=small.template("trial", small.spec(pod)),
        nodes=nodes,
        processes=4,
        queue=queue,
    )


def _values(job: Any) -> list[tuple[str, str | None]]:
    """Variables in their order, which decides what $(POD_IP) refers to."""
    (worker,) = job["spec"]["template"]["spec"]["containers"]
    return [(each["name"], each.get("value")) for each in worker["env"]]


def _create(client: apiserver.Client, resource: resources.Resource, body: Any) -> apiserver.Answer:
    return client.ask("POST", resource.path(SPACE), body, dryRun="All")


@pytest.mark.parametrize("pod", [None, FULL], ids=["ours", "merged"])
@pytest.mark.parametrize("role", ["prepare", "fit"])
def test_jobs_are_taken(role: str, pod: Any, client: apiserver.Client) -> None:
    job = _job(role, pod)
    answer = _create(client, resources.JOBS, job)
    assert answer.status == 201, answer.message
    assert jobs.read(answer.body).created is not None
    assert _values(answer.body) == _values(job)


@pytest.mark.parametrize("pod", [None, FULL], ids=["ours", "merged"])
@pytest.mark.parametrize(("nodes", "queue"), [(1, None), (2, None), (4, "research")])
def test_pytorch_jobs_are_taken(
    nodes: int, queue: str | None, pod: Any, client: apiserver.Client
) -> None:
    job = _pytorch_job(nodes, queue, pod)
    answer = _create(client, resources.PYTORCH_JOBS, job)
    assert answer.status == 201, answer.message
    assert answer.body["spec"] == job["spec"]  # nothing was pruned, nothing filled in
    state = pytorchjob.read(answer.body)
    assert (state.suspended, state.queue) == (bool(queue), queue or "")


@pytest.mark.parametrize("pod", [None, FULL], ids=["ours", "merged"])
@pytest.mark.parametrize("role", ["prepare", "trial", "fit"])
@pytest.mark.parametrize("gpus", [0, 4])
def test_restricted_namespaces_take_our_pods(
    gpus: int, role: str, pod: Any, client: apiserver.Client
) -> None:
    given = Resources(nodes=2, gpus_per_node=gpus, cpu=8, memory="16Gi")
    template = small.template(role, small.spec(pod), given)
    body = {"apiVersion": "v1", "kind": "Pod", **template}
    body["metadata"] = {**template["metadata"], "name": "worker"}
    answer = _create(client, resources.PODS, body)
    assert answer.status == 201, answer.message


def test_pod_security_decides_over_what_users_write(client: apiserver.Client) -> None:
    template = small.template("trial", small.spec({"spec": {"hostIPC": True}}))
    body = {"apiVersion": "v1", "kind": "Pod", **template}
    body["metadata"] = {**template["metadata"], "name": "worker"}
    answer = _create(client, resources.PODS, body)
    assert answer.status == 403
    assert "hostIPC=true" in answer.message


def test_a_field_that_no_pod_has_is_refused_by_name(client: apiserver.Client) -> None:
    pod = {"spec": {"containers": [{"name": "pytorch", "imagePolicy": "Always"}]}}
    for resource, body in (
        (resources.JOBS, _job("prepare", pod)),
        (resources.PYTORCH_JOBS, _pytorch_job(2, pod=pod)),
    ):
        answer = _create(client, resource, body)
        assert answer.status in {400, 422}
        assert "imagePolicy" in answer.message
