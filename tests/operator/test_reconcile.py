"""What a reconciler keeps between looks, on an API server in memory."""

import asyncio
from typing import cast

from scalingsweep_operator import resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.reconcile import Reconciler
from scalingsweep_operator.settings import Settings
from support import manifests
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
