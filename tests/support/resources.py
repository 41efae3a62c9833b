"""An API server that knows both kinds, for tests; tests/cluster/conftest.py hands it out."""

from collections.abc import Iterator

import pytest
from hack import crds
from hack.cluster.api import Api

from support import apiserver

SWEEPS = f"{apiserver.RESOURCE}/scalingsweeps"
TRIALS = f"{apiserver.RESOURCE}/scalingtrials"


@pytest.fixture(scope="module")
def server(api_server: Api) -> Iterator[apiserver.Client]:
    """An API server that knows both kinds."""
    api_server.kubectl("apply", "--server-side", "-f", str(crds.OUT))
    for kind in crds.RESOURCES:
        name = f"crd/{kind.plural}.scalingsweep.dev"
        api_server.kubectl("wait", name, "--for=condition=Established", "--timeout=30s")
    client = apiserver.Client(api_server.kubeconfig)
    yield client
    client.close()
