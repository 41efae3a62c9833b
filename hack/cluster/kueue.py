"""Kueue, on request: quotas and queues before PyTorchJobs, from the manifests of its own module.

`python -m hack.cluster kueue` and tests/e2e install it into a cluster that is up. It differs from a
plain installation in its image, which is ours; in its integrations, of which tests want PyTorchJob
alone, or not even that; and in having no visibility server, whose APIs would have to be aggregated.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from hack.cluster import binaries, images
from hack.cluster.kubectl import Kubectl
from hack.cluster.sandbox import Sandbox

QUEUE = "studies"
"""The LocalQueue that `queue` makes: what spec.queueName says."""
_IMAGE = "localhost/kueue:1"
_NAME = "kueue"
_SPACE = "kueue-system"
_DEPLOYMENT = "kueue-controller-manager"
_VERSION = "kueue.x-k8s.io/v1beta2"
_PYTORCH = "kubeflow.org/pytorchjob"
_INSTEAD = "batch/job"  # there must be some integration


def install(inside: Sandbox, kubectl: Kubectl, folder: Path, *, pytorchjobs: bool = True) -> None:
    """Import the image, apply the manifests, and wait until it serves.

    Args:
        inside: the cluster's sandbox.
        kubectl: its administrator's.
        folder: takes files; made when it is not there.
        pytorchjobs: whether it manages PyTorchJobs; else they wait for ever in its queues.

    Raises:
        ClusterError: it does not come up.
    """
    folder.mkdir(exist_ok=True)
    archive = images.write(
        folder / f"{_NAME}.tar", _IMAGE, {"/manager": binaries.path(_NAME)}, entrypoint=["/manager"]
    )
    images.load(inside, archive)
    overlay = _overlay(folder / _NAME, binaries.data(_NAME), pytorchjobs=pytorchjobs)
    kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", str(overlay))
    place = f"--namespace={_SPACE}"
    kubectl("rollout", "restart", f"deployment/{_DEPLOYMENT}", place)  # it reads its settings once
    kubectl("rollout", "status", f"deployment/{_DEPLOYMENT}", place, "--timeout=240s")


def queue(
    namespace: str, *, gpus: int, cpus: int = 8, memory: str = "16Gi"
) -> list[dict[str, Any]]:
    """A queue of a namespace with a quota of its own; `kubectl.apply` takes them."""
    quotas = {"cpu": cpus, "memory": memory, "nvidia.com/gpu": gpus}
    flavor = {
        "name": "default",
        "resources": [{"name": name, "nominalQuota": quota} for name, quota in quotas.items()],
    }
    cluster_queue = {
        "namespaceSelector": {},
        "resourceGroups": [{"coveredResources": list(quotas), "flavors": [flavor]}],
        "preemption": {"withinClusterQueue": "LowerPriority"},
    }
    return [
        _object("ResourceFlavor", {"name": "default"}, {}),
        _object("ClusterQueue", {"name": QUEUE}, cluster_queue),
        _object("LocalQueue", {"name": QUEUE, "namespace": namespace}, {"clusterQueue": QUEUE}),
    ]


def _object(kind: str, metadata: dict[str, str], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _overlay(folder: Path, manifests: Path, *, pytorchjobs: bool) -> Path:
    """A kustomization on top of theirs; JSON is YAML."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    settings = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {"bindAddress": ":8443"},
        "webhook": {"port": 9443},
        "leaderElection": {"leaderElect": False},
        "integrations": {"frameworks": [_PYTORCH if pytorchjobs else _INSTEAD]},
    }
    (folder / "controller_manager_config.yaml").write_text(json.dumps(settings))
    container = "/spec/template/spec/containers/0"
    patch = [
        {"op": "replace", "path": f"{container}/image", "value": _IMAGE},
        {"op": "replace", "path": f"{container}/imagePullPolicy", "value": "Never"},
        {
            "op": "add",
            "path": f"{container}/args/-",
            "value": "--feature-gates=VisibilityOnDemand=false",
        },
        {"op": "replace", "path": f"{container}/resources", "value": {}},
        {
            "op": "add",
            "path": "/spec/template/spec/securityContext/runAsUser",
            "value": 65534,
        },
    ]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        # a relative path: kustomize takes no other
        "resources": [os.path.relpath(manifests / "default", folder)],
        "generatorOptions": {"disableNameSuffixHash": True},
        "configMapGenerator": [
            {
                "name": "kueue-manager-config",
                "namespace": _SPACE,
                "behavior": "replace",
                "files": ["controller_manager_config.yaml"],
            }
        ],
        "patches": [
            {"target": {"kind": "Deployment", "name": _DEPLOYMENT}, "patch": json.dumps(patch)},
            *(_without(version) for version in ("v1beta1", "v1beta2")),
        ],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    return folder


def _without(version: str) -> dict[str, Any]:
    name = f"{version}.visibility.kueue.x-k8s.io"
    kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
    removal = {**kind, "metadata": {"name": name}, "$patch": "delete"}
    return {"target": {"kind": "APIService", "name": name}, "patch": json.dumps(removal)}
