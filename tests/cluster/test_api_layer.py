"""The API layer is a real API server with working controllers, and leaves nothing behind."""

import base64
import json
import ssl
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hack.cluster import binaries, foreign, processes
from hack.cluster.api import Api
from hack.cluster.errors import ClusterError

pytestmark = pytest.mark.cluster

_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "ladders.test.scalingsweep.dev"},
    "spec": {
        "group": "test.scalingsweep.dev",
        "scope": "Namespaced",
        "names": {"kind": "Ladder", "plural": "ladders"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "rungs": {
                                "type": "integer",
                                "x-kubernetes-validations": [
                                    {"rule": "self > 1", "message": "one rung is no ladder"}
                                ],
                            }
                        },
                    }
                },
            }
        ],
    },
}


def _ladder(rungs: int) -> dict[str, object]:
    return {
        "apiVersion": "test.scalingsweep.dev/v1",
        "kind": "Ladder",
        "metadata": {"name": "short", "namespace": "default"},
        "rungs": rungs,
    }


def test_a_crd_is_kept_and_its_rules_are_enforced(api_server: Api) -> None:
    kubectl = api_server.kubectl
    kubectl.apply(_CRD)
    kubectl("wait", "crd/ladders.test.scalingsweep.dev", "--for=condition=Established")
    kubectl.apply(_ladder(3))
    assert kubectl.get("ladders", "short")["rungs"] == 3
    with pytest.raises(ClusterError, match="one rung is no ladder"):
        kubectl.apply(_ladder(1))


def test_its_version_is_the_pinned_one(api_server: Api) -> None:
    version = json.loads(api_server.kubectl("get", "--raw=/version"))
    assert version["gitVersion"] == binaries.version("kubernetes")


def test_the_garbage_collector_works(api_server: Api) -> None:
    kubectl = api_server.kubectl
    kubectl("create", "configmap", "parent")
    owner = kubectl.get("configmap", "parent")["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "parent", "uid": owner["uid"]}
    child = {"name": "child", "namespace": "default", "ownerReferences": [reference]}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": child})
    kubectl("delete", "configmap", "parent")
    kubectl("wait", "configmap/child", "--for=delete", "--timeout=30s")


def test_both_ends_are_verified(api_server: Api) -> None:
    cluster = json.loads(api_server.kubeconfig.read_text())["clusters"][0]["cluster"]
    address = f"{cluster['server']}/api"
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        urllib.request.urlopen(address)
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    trusting = ssl.create_default_context(cadata=authority)
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(address, context=trusting)
    refused.value.close()


def test_a_given_cluster_without_gpus_is_refused(api_server: Api) -> None:
    with pytest.raises(ClusterError, match="no node offers"):
        foreign.check(api_server.kubeconfig)


def test_its_end_leaves_nothing_behind(tmp_path: Path) -> None:
    with Api(tmp_path / "server") as api:
        names = api.processes.names()
        living = [api.processes.identity(name) for name in names]
    assert names == ["etcd", "kube-apiserver", "kube-controller-manager"]
    for one in living:
        assert one is not None
        assert processes.identify(one.pid) != one
    assert not (tmp_path / "server").exists()


def test_it_ends_with_a_test_process_that_is_killed(tmp_path: Path) -> None:
    program = f"""
        import os, signal
        from pathlib import Path
        from hack.cluster.api import Api
        Api(Path({str(tmp_path / "server")!r})).start()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    recorded = processes.Processes(tmp_path / "server" / "processes")
    assert len(recorded.names()) == 3
    deadline = time.monotonic() + 10
    while any(recorded.alive(name) for name in recorded.names()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
