"""The cluster with all that a study needs, set up once for every test that asks for it."""

import re
from collections.abc import Iterator

import pytest
from hack.cluster import cluster
from hack.e2e import stage

from support import sweeps

_KEPT = pytest.StashKey[cluster.Cluster]()


@pytest.fixture(scope="session")
def ground(pytestconfig: pytest.Config) -> Iterator[stage.Stage]:
    """Up, with images, S3, text, Prometheus and the chart; down again unless it was up before."""
    one = cluster.the_one()
    # subprocess warns of a child that is let go while it runs, and one that was struck runs on
    pytestconfig.stash[_KEPT] = one
    was_up = one.is_up()
    try:
        one.up()
        yield stage.prepare(one)
    finally:
        if not was_up:
            one.down()


@pytest.fixture(scope="session")
def undisturbed(ground: stage.Stage, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """observations.csv of `sweeps.study`, to which nothing has happened."""
    return sweeps.alone(tmp_path_factory.mktemp("alone"), ground.text)


@pytest.fixture
def sweep(ground: stage.Stage, request: pytest.FixtureRequest) -> Iterator[sweeps.Sweep]:
    """One that is named after its test, and gone after it."""
    name = re.sub(r"[^a-z]+", "-", request.node.name.removeprefix("test_"))[:35].strip("-")
    made = sweeps.Sweep(ground=ground, name=name)
    yield made
    made.delete()
