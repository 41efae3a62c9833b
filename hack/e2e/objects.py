"""Kubernetes objects in the plain shape that both servers have: one pod, one port."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One pod behind a Service, which the machine reaches on a port of the node."""

    name: str
    namespace: str
    image: str
    command: Sequence[str]
    port: int
    node_port: int
    """Of 30000 to 32767."""
    ready: str
    """Path that answers once it serves."""
    environment: Sequence[Object] = ()
    volumes: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    """Where each is mounted, and what it is."""

    def to_wire(self) -> list[Object]:
        """Its Deployment and its Service."""
        labels = {"app": self.name}
        metadata = {"name": self.name, "namespace": self.namespace, "labels": labels}
        mounts = [{"name": f"v{i}", "mountPath": place} for i, place in enumerate(self.volumes)]
        container = {
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": "Never",
            "command": list(self.command),
            "env": [*_POD_IP, *self.environment],
            "ports": [{"containerPort": self.port}],
            "readinessProbe": {
                "httpGet": {"path": self.ready, "port": self.port},
                "periodSeconds": 1,
            },
            "volumeMounts": mounts,
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
        }
        pod = {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsUser": _NOBODY, "runAsNonRoot": True, "fsGroup": _NOBODY},
            "containers": [container],
            "volumes": [{"name": f"v{i}", **v} for i, v in enumerate(self.volumes.values())],
            "terminationGracePeriodSeconds": 5,
        }
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": labels},
                "strategy": {"type": "Recreate"},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
        ports = [{"port": self.port, "nodePort": self.node_port}]
        spec = {"type": "NodePort", "selector": labels, "ports": ports}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        return [deployment, service]


def namespace(name: str) -> Object:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


_NOBODY = 65534
_POD_IP = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
