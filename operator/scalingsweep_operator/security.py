"""How our pods keep their hands still: what Pod Security's `restricted` asks, and a fixed root.

`pods` starts from it; a user's template may write other values over it, and the namespace's Pod
Security then judges those.
"""

from scalingsweep.errors import SpecError
from scalingsweep_operator.resources import Object

USER = 65532
"""`nonroot` of distroless images; the worker's image runs as any user that has no home."""


def pod() -> Object:
    """A pod's securityContext."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,  # so that volumes that users add can be written
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container() -> Object:
    """A container's securityContext."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def check(spec: Object, at: str, worker: str) -> None:
    """Refuse a root user beside runAsNonRoot: kubelet would only say so once a node is taken.

    Args:
        spec: a pod's, merged.
        at: where the user wrote it.
        worker: name of the container to look at beside the pod.

    Raises:
        SpecError: with the field.
    """
    (own,) = (c.get("securityContext", {}) for c in spec["containers"] if c["name"] == worker)
    shared = spec.get("securityContext", {})
    if _contradicts(shared):
        _refuse(f"{at}.spec.securityContext.runAsUser")
    if _contradicts(shared | own):
        _refuse(f"{at}.spec.containers[{worker}].securityContext.runAsUser")


def _contradicts(context: Object) -> bool:
    return context.get("runAsUser") in (0, "0") and context.get("runAsNonRoot") is True


def _refuse(field: str) -> None:
    raise SpecError(
        field,
        "is root, which runAsNonRoot forbids: name another user, or set runAsNonRoot to false",
    )
