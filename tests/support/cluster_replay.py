"""A recorded trace lived through by the operator: its own reconcile, from the objects to `decide`.

The API server is in memory and the clock is the trace's. Pods run as soon as there is a job, and
end when, and in the way that, the workers of the recorded study did.
"""

import asyncio
from typing import Any, cast
from unittest import mock

from scalingsweep_operator import names, reconcile, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.resources import Object
from scalingsweep_operator.settings import Settings
from support import replays, traces
from support.memory_api import MemoryApi


def replay(trace: dict[str, Any]) -> list[replays.Seen]:
    """What the operator sees, on a cluster whose pods start at once."""
    with replays.heard() as ear, mock.patch.object(reconcile, "time") as clock:
        asyncio.run(_look_on(trace, ear, clock))
    return ear.seen


async def _look_on(trace: dict[str, Any], ear: replays.Ear, clock: Any) -> None:
    api = MemoryApi()
    api.now = replays.BEGAN
    metadata = trace["manifest"]["metadata"]
    await api.create(resources.SWEEPS, metadata["namespace"], trace["manifest"])
    for point in trace["points"]:
        api.now = clock.time.return_value = replays.BEGAN + point["at"]
        for event in point["events"]:
            _end_pod(api, event)
        # each look is that of an operator which has just started
        operator = reconcile.Reconciler(
            api=cast("Api", api), settings=Settings(worker_image="worker:1"), metrics=Metrics()
        )
        await operator.reconcile(metadata["namespace"], metadata["name"])
        api.let_go()
        if ear.seen[-1].decision != point["decision"]:
            return


def _end_pod(api: MemoryApi, event: dict[str, Any]) -> None:
    status = event["status"]
    (pod,) = (pod for pod in api.alive() if _work(pod) == event["work"])
    # a container's exit status counts a signal as shells do
    api.end(pod, 128 - status if status < 0 else status, event["outcome"] or "")


def _work(pod: Object) -> str:
    """What a pod works at, from what it was told."""
    role: str = pod["metadata"]["labels"][names.ROLE]
    if role != "trial":
        return role
    (worker,) = pod["spec"]["containers"]
    told = {each["name"]: each.get("value") for each in worker["env"]}
    return traces.work(told["SCALINGSWEEP_TRIAL"])
