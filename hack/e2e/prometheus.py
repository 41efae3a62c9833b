"""A real Prometheus in the cluster, Debian's, that scrapes the operator and all trainers.

`stage` installs it; tests ask its API (`ask`). Debian builds it without Kubernetes' discovery: it
finds the operator by the chart's Service and trainers by one that selects the PodMonitor's label.
"""

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from hack.cluster import dns, images, network
from hack.cluster.cluster import Cluster
from hack.cluster.kubectl import Kubectl
from hack.cluster.sandbox import run
from hack.e2e import objects, places

_NAME = "prometheus"
_IMAGE = "localhost/prometheus:1"
_PORT = 9090
_NODE_PORT = 31090
_TRAINERS = "trainers"


def install(cluster: Cluster, kubectl: Kubectl, folder: Path) -> None:
    """Start it, and wait until it answers.

    Raises:
        ClusterError: Debian's package cannot be had.
    """
    programs = {"/usr/bin/prometheus": _program(folder)}
    archive = images.write(folder / "prometheus.tar", _IMAGE, programs)
    images.load(cluster.inside, archive)
    kubectl.apply(objects.namespace(places.MONITORING), objects.namespace(places.SWEEPS))
    kubectl.apply(_trainers(), _settings(), *_pod().to_wire())
    place = f"--namespace={places.MONITORING}"
    kubectl("rollout", "status", f"deployment/{_NAME}", place, "--timeout=120s")


def ask(query: str) -> list[dict[str, Any]]:
    """The series that a query answers with, now."""
    address = f"http://{network.NODE}:{_NODE_PORT}/api/v1/query"
    question = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"{address}?{question}", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def _program(folder: Path) -> Path:
    """Debian's, unpacked and not installed: its package would start a service on this machine."""
    root = folder / "debian"
    program = root / "usr" / "bin" / _NAME
    if not program.exists():
        root.mkdir(exist_ok=True)
        # apt drops root's rights for a download and then cannot write here
        apt = ("env", f"--chdir={root}", "apt-get", "--option=APT::Sandbox::User=root", "--quiet")
        run(*apt, "update")
        run(*apt, "download", _NAME)
        (package,) = root.glob("*.deb")
        run("dpkg-deb", "--extract", str(package), str(root))
    return program


def _pod() -> objects.Server:
    return objects.Server(
        name=_NAME,
        namespace=places.MONITORING,
        image=_IMAGE,
        command=[
            "prometheus",
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/data",
            f"--web.listen-address=:{_PORT}",
        ],
        port=_PORT,
        node_port=_NODE_PORT,
        ready="/-/ready",
        volumes={
            "/data": {"emptyDir": {}},
            "/etc/prometheus": {"configMap": {"name": _NAME}},
        },
    )


def _settings() -> objects.Object:
    addresses = {
        "operator": (f"{places.CONTROL}.{places.CONTROL}.svc.{dns.DOMAIN}", 8080),
        "trainers": (f"{_TRAINERS}.{places.SWEEPS}.svc.{dns.DOMAIN}", 8081),
    }
    config = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "scrape_configs": [
            {
                "job_name": job,
                "dns_sd_configs": [
                    {"names": [name], "type": "A", "port": port, "refresh_interval": "2s"}
                ],
            }
            for job, (name, port) in addresses.items()
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NAME, "namespace": places.MONITORING},
        "data": {"prometheus.yml": json.dumps(config)},
    }


def _trainers() -> objects.Object:
    """A name that has the addresses of all trainers."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _TRAINERS, "namespace": places.SWEEPS},
        "spec": {
            "clusterIP": "None",
            "selector": {"scalingsweep.dev/role": "trial"},
            "ports": [{"name": "metrics", "port": 8081}],
        },
    }
