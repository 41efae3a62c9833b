"""Kubeflow's training-operator, which owns PyTorchJob, from the manifests of its own module.

Three things differ from a plain installation: PyTorchJob is its only kind; its image is ours, made
from the binary; and the init container of workers waits with `getent` instead of `nslookup`, which
in every BusyBox newer than its default image's fails as long as one search domain has no answer.
`cluster` installs it.
"""

import json
import os
import shutil
from pathlib import Path

from hack.cluster import binaries, images
from hack.cluster.errors import ClusterError
from hack.cluster.kubectl import Kubectl
from hack.cluster.sandbox import Sandbox

SHELL_IMAGE = "localhost/shell:1"
"""Debian's shells with `getent`, `seq` and `sleep`; also good for small pods of tests."""
_SHELL = ("sh", "getent", "seq", "sleep", "cat", "echo", "hostname", "env", "bash")
_IMAGE = "localhost/training-operator"
_TAG = "1"
_NAME = "training-operator"
_SPACE = "kubeflow"
_OTHERS = tuple(  # jobs that are no PyTorchJobs: half a megabyte of schema each, and not asked for
    f"{kind}.kubeflow.org" for kind in ("jaxjobs", "mpijobs", "paddlejobs", "tfjobs", "xgboostjobs")
)
_WAIT = (
    "for i in $(seq {{.MaxTries}}); do getent hosts {{.MasterAddr}} && exit 0; sleep 1; done; "
    "echo {{.MasterAddr}} has no address; exit 1"
)
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def install(inside: Sandbox, kubectl: Kubectl, folder: Path) -> None:
    """Import the images and apply the manifests; `wait` tells when it serves."""
    binary = {"/manager": binaries.path(_NAME)}
    operator = images.write(folder / f"{_NAME}.tar", f"{_IMAGE}:{_TAG}", binary)
    shell = images.write(folder / "shell.tar", SHELL_IMAGE, _shell())
    for archive in (operator, shell):
        images.load(inside, archive)
    overlay = _overlay(folder / _NAME, binaries.data(_NAME))
    kubectl("apply", "--server-side", "--kustomize", str(overlay))


def wait(kubectl: Kubectl) -> None:
    """Wait until it serves.

    Raises:
        ClusterError: not within three minutes.
    """
    place = f"--namespace={_SPACE}"
    kubectl("rollout", "status", f"deployment/{_NAME}", place, "--timeout=180s")


def _shell() -> dict[str, Path]:
    found = {name: shutil.which(name) for name in _SHELL}
    absent = [name for name, place in found.items() if place is None]
    if absent:
        raise ClusterError(f"this machine has no {', '.join(absent)} to make an image of")
    return {f"/bin/{name}": Path(place) for name, place in found.items() if place}


def _overlay(folder: Path, manifests: Path) -> Path:
    """A kustomization on top of theirs; JSON is YAML."""
    folder.mkdir()
    template = [
        {
            "name": "init-pytorch",
            "image": "{{.InitContainerImage}}",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", _WAIT],
            "securityContext": {**_RESTRICTED, "runAsUser": 65534},
        }
    ]
    (folder / "init.yaml").write_text(json.dumps(template))
    arguments = [
        "--enable-scheme=pytorchjob",
        f"--pytorch-init-container-image={SHELL_IMAGE}",
        "--pytorch-init-container-template-file=/etc/init/init.yaml",
        "--pytorch-init-container-max-tries=600",
    ]
    pod = "/spec/template/spec"
    patch = [
        _add(f"{pod}/containers/0/args", arguments),
        _add(f"{pod}/containers/0/imagePullPolicy", "Never"),
        _add(f"{pod}/containers/0/readinessProbe/initialDelaySeconds", 0),
        _add(f"{pod}/containers/0/readinessProbe/periodSeconds", 1),
        _add(f"{pod}/containers/0/volumeMounts/-", {"name": "init", "mountPath": "/etc/init"}),
        _add(f"{pod}/volumes/-", {"name": "init", "configMap": {"name": "init-template"}}),
    ]
    theirs = "ghcr.io/kubeflow/training-v1/training-operator"
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": _SPACE,
        # a relative path: kustomize takes no other
        "resources": [os.path.relpath(manifests / "overlays/standalone", folder)],
        "images": [{"name": theirs, "newName": _IMAGE, "newTag": _TAG}],
        "configMapGenerator": [{"name": "init-template", "files": ["init.yaml"]}],
        "patches": [
            {"target": {"kind": "Deployment", "name": _NAME}, "patch": json.dumps(patch)},
            *(_without(crd) for crd in _OTHERS),
        ],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    return folder


def _without(crd: str) -> dict[str, object]:
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    removal = {**kind, "metadata": {"name": crd}, "$patch": "delete"}
    return {"target": {"kind": kind["kind"], "name": crd}, "patch": json.dumps(removal)}


def _add(path: str, value: object) -> dict[str, object]:
    return {"op": "add", "path": path, "value": value}
