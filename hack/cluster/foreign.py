"""A disposable cluster that somebody else made, given by KUBECONFIG: checked, never changed."""

from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.kubectl import Kubectl


def check(kubeconfig: Path) -> str:
    """Say what was found.

    Raises:
        ClusterError: it cannot be reached, or lacks what a sweep needs; the message names it.
    """
    if not kubeconfig.exists():
        raise ClusterError(f"KUBECONFIG={kubeconfig}: there is no such file; unset it, or mend it")
    kubectl = Kubectl(kubeconfig, ours=False)
    if not kubectl.succeeds("get", "--raw=/readyz", "--request-timeout=10s"):
        raise ClusterError(f"KUBECONFIG={kubeconfig}: its API server does not answer")
    gpus = sum(
        int(node["status"]["allocatable"].get("nvidia.com/gpu", 0))
        for node in kubectl.get("nodes")["items"]
    )
    if not gpus:
        raise ClusterError(f"KUBECONFIG={kubeconfig}: no node offers nvidia.com/gpu")
    if not kubectl.succeeds("get", "crd", "pytorchjobs.kubeflow.org"):
        raise ClusterError(f"KUBECONFIG={kubeconfig}: training-operator (v1) is not installed")
    return f"KUBECONFIG={kubeconfig}: ready, {gpus} GPUs, PyTorchJob is known"
