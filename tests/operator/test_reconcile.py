"""What a reconciler keeps between looks, on an API server in memory."""

import asyncio
from typing import cast

from scalingsweep_operator import faults, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.reconcile import Reconciler
from scalingsweep_operator.resources import Object, Resource
from scalingsweep_operator.settings import Settings
from support import manifests, space
from support.memory_api import MemoryApi

STORAGE = {"s3": {"bucket": "studies"}}


def test_of_a_sweep_that_is_gone_nothing_is_remembered() -> None:
    api = MemoryApi()
    operator = Reconciler(
        api=cast("Api", api), settings=Settings(worker_image="worker:1"), metrics=Metrics()
    )

    async def live_and_go() -> None:
        for _ in range(3):  # the next of its name may come before a look finds none
            spec = {**manifests.small(), "storage": STORAGE}
            made = await api.create(resources.SWEEPS, "default", manifests.whole(spec))
            name, uid = made["metadata"]["name"], made["metadata"]["uid"]
            await operator.reconcile("default", name)
            assert list(operator._studies._known) == [uid]
            assert list(operator._checked) == [uid]
            await api.delete(resources.SWEEPS, "default", name, uid=uid)
        await operator.reconcile("default", name)

    asyncio.run(live_and_go())
    assert not operator._studies._known
    assert not operator._checked
    assert not operator._uids


class _Stubborn(MemoryApi):
    """Takes no status of a sweep, as a policy may have it."""

    lifted = False

    async def replace_status(self, resource: Resource, item: Object, status: Object) -> Object:
        if resource == resources.SWEEPS and not self.lifted:
            raise faults.Refused("not today", code=403)
        return await super().replace_status(resource, item, status)


def test_a_status_that_is_refused_is_told_and_written_later() -> None:
    api = _Stubborn()
    operator = Reconciler(
        api=cast("Api", api), settings=Settings(worker_image="worker:1"), metrics=Metrics()
    )

    async def story() -> None:
        made = await api.create(resources.SWEEPS, "default", manifests.whole(space.spec()))
        name = made["metadata"]["name"]
        await operator.reconcile("default", name)
        (event,) = await api.list(resources.EVENTS, "default")
        assert (event["reason"], event["type"]) == ("Refused", "Warning")
        assert "not today" in event["note"]
        assert await api.list(resources.JOBS, "default"), "its work goes on"
        api.lifted = True
        await operator.reconcile("default", name)
        (sweep,) = await api.list(resources.SWEEPS, "default")
        assert sweep["status"]["phase"] == "Preparing"

    asyncio.run(story())
