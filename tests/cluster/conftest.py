"""The API server's fixtures, for this room."""

from collections.abc import Iterator

import pytest
from hack.cluster.api import Api

from support import apiserver
from support import stage as stages
from support.cluster import api_server as api_server  # noqa: PLC0414  pytest finds it by its name
from support.resources import server as server  # noqa: PLC0414  as above
from support.stage import Stage


@pytest.fixture(scope="module")
def ground(api_server: Api, server: apiserver.Client) -> Api:
    """An API server that knows every kind."""
    del server  # it has brought ours
    stages.install(api_server)
    return api_server


@pytest.fixture
def stage(ground: Api) -> Iterator[Stage]:
    """A namespace of its own."""
    client = apiserver.Client(ground.kubeconfig)
    yield Stage(ground, client)
    client.close()
