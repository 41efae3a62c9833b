"""Which sweeps are served, where a namespace may not be read."""

import asyncio
from typing import cast

import pytest

from scalingsweep_operator import faults, scope
from scalingsweep_operator.api import Api
from scalingsweep_operator.resources import Object, Resource
from scalingsweep_operator.settings import Settings


class _Server:
    """One sweep in every namespace that is left."""

    def __init__(self, *left: str | None) -> None:
        self._left = left

    async def list(self, resource: Resource, namespace: str | None) -> list[Object]:
        if namespace not in self._left:
            raise faults.Refused(f"cannot list {resource.plural} in {namespace}", code=403)
        return [{"metadata": {"name": "one", "namespace": namespace}}]


def _asked(*left: str | None, served: tuple[str, ...]) -> tuple[list[str | None], tuple[str, ...]]:
    api = cast("Api", _Server(*left))
    settings = Settings(worker_image="worker:1", namespaces=served)
    found = asyncio.run(scope.sweeps(api, settings))
    return list(found), asyncio.run(scope.readable(api, settings))


def test_a_namespace_that_is_gone_leaves_the_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Its Role went with it, and the API server says 403."""
    assert _asked("b", served=("a", "b")) == (["b"], ("b",))
    assert "namespace a is left alone: cannot list scalingsweeps in a" in caplog.text


def test_all_namespaces_are_one_list() -> None:
    assert _asked(None, served=()) == ([None], ())


def test_where_nothing_may_be_read_that_is_an_error() -> None:
    """Kubelet is told so, by way of the full looks that fail."""
    with pytest.raises(faults.Refused, match="in a"):
        _asked("b", served=("a",))
    with pytest.raises(faults.Refused):
        _asked(served=())
