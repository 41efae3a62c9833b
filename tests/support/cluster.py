"""A real API server for tests: one per test process, so one per xdist worker."""

from collections.abc import Iterator

import pytest
from hack.cluster.api import Api


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """etcd, kube-apiserver and kube-controller-manager; `kubeconfig` and `kubectl` reach them.

    There is no node: tests play the kubelet. Take a namespace of your own.
    """
    with Api(tmp_path_factory.mktemp("api") / "server") as api:
        yield api
