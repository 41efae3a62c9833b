"""Set a cluster up for a study: images, S3 with text in it, Prometheus, the chart.

`__main__` and tests/e2e call it. A second call takes what is there and renews the rest.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from hack.cluster.cluster import Cluster
from hack.cluster.helm import CHART, Helm
from hack.cluster.kubectl import Kubectl
from hack.e2e import objects, places, prometheus, s3, text
from hack.images import build, buildah, deliver

EXAMPLE = build.ROOT / "examples" / "kubernetes" / "sweep.yaml"
_DEMO_TEXT = build.ROOT / "build" / "demo-text"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A cluster that is set up."""

    cluster: Cluster
    kubectl: Kubectl
    helm: Helm
    bucket: s3.Server
    text: Path
    """The folder with the text of the bucket: `en/` and `fr/`."""


def prepare(cluster: Cluster) -> Stage:
    """Set it up; the cluster is up.

    Raises:
        ClusterError: something cannot be built, imported or installed.
    """
    kubectl, helm = Kubectl(cluster.kubeconfig), Helm(cluster.kubeconfig)
    folder = cluster.folder / "stage"
    folder.mkdir(exist_ok=True)
    _images(cluster)
    bucket = s3.install(cluster, kubectl, folder)
    pages = text.make(build.ROOT / "build" / "cluster-text", _DEMO_TEXT)
    with _timed("text"):
        text.upload(pages, bucket.store(text.PREFIX))
    kubectl.apply(objects.namespace(places.SWEEPS), bucket.secret(places.SWEEPS))
    prometheus.install(cluster, kubectl, folder)
    install(helm, kubectl)
    return Stage(cluster=cluster, kubectl=kubectl, helm=helm, bucket=bucket, text=pages)


def install(helm: Helm, kubectl: Kubectl, *arguments: str) -> None:
    """Install or upgrade the chart with the images that were built, and wait until it serves."""
    place = f"--namespace={places.CONTROL}"
    helm(
        *("upgrade", "--install", places.CONTROL, CHART, place, "--create-namespace"),
        *(f"--set={key}={value}" for key, value in _values().items()),
        *arguments,
    )
    # a tag says nothing of the image behind it
    kubectl("rollout", "restart", f"deployment/{places.CONTROL}", place)
    kubectl("rollout", "status", f"deployment/{places.CONTROL}", place, "--timeout=180s")


def _values() -> dict[str, str]:
    found = {"image.pullPolicy": "Never"}
    for name, key in (("operator", "image"), ("worker", "worker.image")):
        repository, _, tag = build.REFERENCES[name].rpartition(":")
        found |= {f"{key}.repository": repository, f"{key}.tag": tag}
    return found


def _images(cluster: Cluster) -> None:
    buildah.ensure()
    builder = buildah.Buildah()
    for name in build.REFERENCES:
        reference = build.build(builder, name)
        with _timed(f"{name} into the cluster"):
            deliver.deliver(builder, cluster, reference)


@contextlib.contextmanager
def _timed(what: str) -> Iterator[None]:
    """Say how long a block took."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)
