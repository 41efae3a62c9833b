"""SIGKILL to a pod's process, as the kernel gives it: kubelet sees to what follows.

tests/e2e kills with it; what is the control plane's `Cluster.strike` kills.
"""

from typing import Any

from hack.cluster.cluster import Cluster


def container(cluster: Cluster, pod: dict[str, Any]) -> None:
    """Kill the first process of a pod's one container, and so all that it has started.

    Raises:
        ClusterError: it does not run.
    """
    (status,) = pod["status"]["containerStatuses"]
    identity = status.get("containerID", "").removeprefix("containerd://")
    ctr = ("ctr", "--namespace=k8s.io", "tasks")
    cluster.inside.run(*ctr, "kill", "--signal=SIGKILL", identity)
