"""The whole cluster runs PyTorchJobs, lets nothing out, and leaves nothing behind. Root only."""

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hack.cluster import cgroups, foreign, kernel, network
from hack.cluster.cluster import Cluster
from hack.cluster.kubectl import Kubectl
from hack.cluster.training_operator import SHELL_IMAGE

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="a node needs root"),
    pytest.mark.skipif(bool(cgroups.left()), reason="a cluster is up: it is not ours to end"),
]

# each waits for the other's name, so neither ends unless the Services and the DNS work
_MEET = """
set -e
for i in $(seq 300); do getent hosts job-{peer} && break; sleep 0.2; done
getent hosts job-{peer}
echo "$PET_NNODES nodes, rank $PET_NODE_RANK" >/dev/termination-log
sleep 2
"""
_WAITING = 60


def _machine() -> dict[str, Any]:
    """What a cluster could leave on this machine."""
    folders = ["/run", "/var/lib", "/var/log", "/opt", "/etc"]
    links = Path("/sys/class/net").iterdir()
    return {
        "mounts": Path("/proc/self/mounts").read_text(),
        "links": sorted(link.name for link in links),
        "cgroups": cgroups.left(),
        "settings": kernel.settings(),
        "folders": {name: sorted(path.name for path in Path(name).iterdir()) for name in folders},
        "namespaces": _namespaces(),
    }


def _namespaces() -> set[str]:
    """Of all processes: everything of the cluster's runs in namespaces of its own."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found |= {str((process / "ns" / kind).readlink()) for kind in ("mnt", "net", "pid")}
    return found


def _replica(peer: str) -> dict[str, Any]:
    container = {
        "name": "pytorch",
        "image": SHELL_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", _MEET.format(peer=peer)],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    template = {"spec": {"containers": [container]}}
    return {"replicas": 1, "restartPolicy": "Never", "template": template}


_JOB = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "PyTorchJob",
    "metadata": {"name": "job", "namespace": "default"},
    "spec": {
        "runPolicy": {"cleanPodPolicy": "None"},
        "pytorchReplicaSpecs": {"Master": _replica("worker-0"), "Worker": _replica("master-0")},
    },
}


def test_up_work_down(tmp_path: Path) -> None:
    before = _machine()
    cluster = Cluster(tmp_path / "cluster")
    try:
        cluster.up()
        assert cluster.is_up()
        kubectl = Kubectl(cluster.kubeconfig)
        _offers_gpus(kubectl)
        _runs_a_pytorch_job(kubectl)
        _is_found_as_a_foreign_one(cluster, tmp_path)
        _lets_nothing_out(cluster, kubectl)
    finally:
        cluster.down()
    assert not cluster.folder.exists()
    assert _machine() == before


def _offers_gpus(kubectl: Kubectl) -> None:
    (node,) = kubectl.get("nodes")["items"]
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"


def _runs_a_pytorch_job(kubectl: Kubectl) -> None:
    kubectl.apply(_JOB)
    kubectl("wait", "pytorchjob/job", "--for=condition=Succeeded", f"--timeout={_WAITING}s")
    pods = kubectl.get("pods", "--selector=training.kubeflow.org/job-name=job")["items"]
    said = {pod["metadata"]["name"]: _last_word(pod) for pod in pods}
    assert said["job-master-0"] == "2 nodes, rank 0\n"


def _last_word(pod: dict[str, Any]) -> str:
    """A finished container's termination message."""
    (container,) = pod["status"]["containerStatuses"]
    return str(container["state"]["terminated"]["message"])


def _lets_nothing_out(cluster: Cluster, kubectl: Kubectl) -> None:
    """Nobody inside reaches a port on which this machine listens, until the rules are gone."""
    with _listener() as (port, accepted):
        for name, host_network in (("guest", False), ("node", True)):
            said = _try_to_leave(kubectl, f"{name}-shut", port, host_network=host_network)
            assert said == "refused"
        assert accepted == []
        cluster.inside.run("nft", "delete", "table", "inet", "scalingsweep")
        assert _try_to_leave(kubectl, "node-open", port, host_network=True) == "reached"
        assert accepted == [network.NODE]


def _try_to_leave(kubectl: Kubectl, name: str, port: int, *, host_network: bool) -> str:
    attempt = f"exec 3<>/dev/tcp/{network.HOST}/{port}"
    container = {
        "name": "try",
        "image": SHELL_IMAGE,
        "imagePullPolicy": "Never",
        # what bash complains of comes through a pipe of its own, and may come last
        "command": ["bash", "-c", f"({attempt}) 2>/dev/null && echo reached || echo refused"],
    }
    spec = {"hostNetwork": host_network, "restartPolicy": "Never", "containers": [container]}
    metadata = {"name": name, "namespace": "default"}
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("wait", f"pod/{name}", ended, f"--timeout={_WAITING}s")
    return kubectl("logs", name).strip()


def _is_found_as_a_foreign_one(cluster: Cluster, folder: Path) -> None:
    given = Path(shutil.copy(cluster.kubeconfig, folder / "given"))
    assert "8 GPUs" in foreign.check(given)


@contextlib.contextmanager
def _listener() -> Iterator[tuple[int, list[str]]]:
    accepted: list[str] = []
    with socket.create_server(("0.0.0.0", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, (host, _) = server.accept()
                except OSError:
                    return
                accepted.append(host)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], accepted
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
