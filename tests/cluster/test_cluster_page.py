"""What docs/cluster.md shows of other people's settings is so, and an API server takes it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.cluster import binaries
from hack.cluster.api import Api
from hack.cluster.errors import ClusterError

from scalingsweep_operator import contract, names, security

pytestmark = pytest.mark.cluster

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text("utf-8")
TEMPLATE, POLICY = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SPACE = "research"


@pytest.fixture(scope="module")
def restricted(api_server: Api) -> Iterator[Api]:
    """With the page's namespace, which enforces Pod Security's `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": SPACE, "labels": labels}
    api_server.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    api_server.kubectl(
        "wait", "serviceaccount/default", f"--namespace={SPACE}", "--for=create", "--timeout=30s"
    )
    yield api_server
    api_server.kubectl("delete", "namespace", SPACE)


def _pod(init: list[dict[str, Any]]) -> dict[str, Any]:
    """One of a trial's, with what training-operator puts before it."""
    worker = {"name": "pytorch", "image": "worker:1", "securityContext": security.container()}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "worker-0", "namespace": SPACE},
        "spec": {
            "securityContext": security.pod(),
            "initContainers": init,
            "containers": [worker],
        },
    }


def _try(api: Api, pod: dict[str, Any]) -> None:
    api.kubectl("create", "--dry-run=server", "-f", "-", given=pod)


def test_the_init_container_as_it_comes_is_refused_and_the_pages_is_not(restricted: Api) -> None:
    given = {"InitContainerImage": "debian:1", "MaxTries": "900", "MasterAddr": "a-master-0"}
    text = TEMPLATE
    for name, value in given.items():
        text = text.replace(f"{{{{.{name}}}}}", value)
    (ours,) = yaml.safe_load(text)
    _try(restricted, _pod([ours]))
    theirs = {"name": "init-pytorch", "image": "alpine:3.10", "command": ["sh", "-c", "true"]}
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        _try(restricted, _pod([theirs]))


def test_training_operator_has_the_flags() -> None:
    command = [str(binaries.path("training-operator")), "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    flags = re.findall(r"^--(pytorch-init-container-[a-z-]+)=", PAGE, re.MULTILINE)
    assert len(flags) == 3
    assert [flag for flag in flags if f"-{flag} " not in said] == []
    assert '"alpine:3.10"' in said
    assert "default 100)" in said


def test_the_policy_is_taken_and_selects_our_pods(restricted: Api, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, "utf-8")
    restricted.kubectl("apply", "--dry-run=server", "-f", str(file))
    spec = yaml.safe_load(POLICY)["spec"]
    (asked,) = spec["podSelector"]["matchExpressions"]
    assert asked == {"key": names.SWEEP, "operator": "Exists"}
    ports = [each["port"] for rule in spec["ingress"] for each in rule.get("ports", [])]
    assert ports == [contract.PORT]
