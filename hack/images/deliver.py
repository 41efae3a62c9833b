"""Put a built image into the cluster's containerd.

The archive goes through a pipe: on disk the worker's alone would be 6 GB.
`hack.images --load` and `hack.e2e` call it.
"""

import json
import os
import tempfile
import threading
from pathlib import Path

from hack.cluster import images
from hack.cluster.cluster import Cluster
from hack.cluster.errors import ClusterError
from hack.images.buildah import Buildah


def deliver(builder: Buildah, cluster: Cluster, reference: str) -> None:
    """Import an image, unless the node has this very one.

    Raises:
        ClusterError: it cannot be written or read.
    """
    if builder.identity(reference) == _there(cluster, reference):
        return
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder) / "archive"
        os.mkfifo(pipe)
        writer = threading.Thread(target=_push, args=(builder, reference, pipe))
        writer.start()
        images.load(cluster.inside, pipe)
        writer.join()
    if builder.identity(reference) != _there(cluster, reference):
        raise ClusterError(f"{reference} did not reach the cluster whole")


def _push(builder: Buildah, reference: str, pipe: Path) -> None:
    try:
        builder("push", "--quiet", reference, f"docker-archive:{pipe}:{reference}")
    except ClusterError:
        with pipe.open("wb"):  # or the reader would wait for a writer for ever
            pass
        raise


def _there(cluster: Cluster, reference: str) -> str:
    """The id of the image that the node has under this name; empty without one."""
    ctr = ("ctr", "--namespace=k8s.io")
    listed = cluster.inside.run(*ctr, "images", "list", f"name=={reference}").splitlines()
    if len(listed) < 2:
        return ""
    manifest = json.loads(cluster.inside.run(*ctr, "content", "get", listed[1].split()[2]))
    return str(manifest["config"]["digest"]).removeprefix("sha256:")
