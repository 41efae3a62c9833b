"""The cluster's DNS: CoreDNS behind the address that kubelet gives to pods.

It knows the cluster's names and nobody else's; there is no outside to ask. `cluster` installs it.
"""

from pathlib import Path
from typing import Any

from hack.cluster import binaries, images
from hack.cluster.kubectl import Kubectl
from hack.cluster.sandbox import Sandbox

SERVICE = "10.96.0.10"
DOMAIN = "cluster.local"
_IMAGE = "localhost/coredns:1"
_NAME = "coredns"
_SPACE = "kube-system"
_PORT = 1053  # it runs as nobody, who may not have port 53
_LABELS = {"k8s-app": "kube-dns"}

_COREFILE = f""".:{_PORT} {{
  errors
  health :8080
  ready :8181
  kubernetes {DOMAIN} in-addr.arpa {{
    pods insecure
    ttl 5
  }}
  loop
}}
"""


def install(inside: Sandbox, kubectl: Kubectl, folder: Path) -> None:
    """Import its image and apply its objects; `wait` tells when it answers."""
    archive = images.write(
        folder / "coredns.tar",
        _IMAGE,
        {"/coredns": binaries.path("coredns")},
        entrypoint=["/coredns"],
    )
    images.load(inside, archive)
    kubectl.apply(*_rights(), _settings(), _deployment(), _service())


def wait(kubectl: Kubectl) -> None:
    """Wait until it answers.

    Raises:
        ClusterError: not within two minutes.
    """
    kubectl("rollout", "status", f"deployment/{_NAME}", f"--namespace={_SPACE}", "--timeout=120s")


def _meta(name: str = _NAME, *, space: str | None = _SPACE) -> dict[str, Any]:
    return {"name": name, "labels": _LABELS} | ({"namespace": space} if space else {})


def _rights() -> list[dict[str, Any]]:
    role = "system:coredns"
    verbs = ["list", "watch"]
    group = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": verbs},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta()},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": _meta(role, space=None),
            "rules": rules,
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": _meta(role, space=None),
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": _SPACE}],
        },
    ]


def _settings() -> dict[str, Any]:
    data = {"Corefile": _COREFILE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(), "data": data}


def _deployment() -> dict[str, Any]:
    container = {
        "name": _NAME,
        "image": _IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
    }
    pod = {
        "serviceAccountName": _NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": _NAME}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(),
        "spec": {
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": pod},
        },
    }


def _service() -> dict[str, Any]:
    ports = [
        {"name": f"dns-{protocol.lower()}", "port": 53, "targetPort": _PORT, "protocol": protocol}
        for protocol in ("UDP", "TCP")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta("kube-dns"),
        "spec": {"clusterIP": SERVICE, "selector": _LABELS, "ports": ports},
    }
