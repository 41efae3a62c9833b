"""One operator's life: stand by, lead, and leave so that another can go on. `main` runs it.

It leads only while it holds the Lease. Told to stop, it lets the looks that run come to their end,
then gives the Lease up; losing it, it ends at once and leaves everything as it is.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from scalingsweep_operator import faults, scope, server, watch
from scalingsweep_operator.api import Api, connect
from scalingsweep_operator.bucket import Bucket
from scalingsweep_operator.lease import Lease
from scalingsweep_operator.look import Key, Look, Reconcile
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.settings import Settings

_log = logging.getLogger(__name__)
DRAIN_SECONDS = 20.0
_MISSED_LOOKS = 5
_UNREACHED_SECONDS = 30.0

Making = Callable[[Api, Settings, Metrics], Reconcile]
"""Makes what looks at one sweep."""


class Service:
    """One operator; `run` is its whole life."""

    def __init__(self, settings: Settings, making: Making) -> None:
        self._settings = settings
        self._making = making
        self.metrics = Metrics()
        self.stopping = asyncio.Event()
        """Set it, and the operator leaves in order."""
        self.leads = False
        self.port = 0
        """Where it serves, once it does."""
        self._look: Look | None = None
        self._lease: Lease | None = None
        self._led_from = 0.0

    async def run(self) -> None:
        """Live until told to stop.

        Raises:
            Lost: another leads now.
        """
        settings = self._settings
        # renewals must fail while there is time for another
        patience = settings.lease_seconds / 5
        async with Api(
            await connect(settings.kubeconfig), metrics=self.metrics, timeout=patience
        ) as own:
            lease = self._lease = Lease(own, settings)
            probes = server.Probes(sick=self._sick, unready=self._unready)
            async with server.serving(
                settings.http_host, settings.http_port, self.metrics, probes
            ) as self.port:
                if await self._unless_stopped(lease.acquire()):
                    await self._lead(lease)

    async def _lead(self, lease: Lease) -> None:
        settings = self._settings
        self.leads, self._led_from = True, asyncio.get_running_loop().time()
        self.metrics.leads(leads=True)
        creates = Bucket(rate=settings.creates_per_second, burst=settings.creates_burst)
        async with Api(
            await connect(settings.kubeconfig),
            metrics=self.metrics,
            creates=creates,
            allowed=lease.allowed,
        ) as api:
            look = self._look = Look(
                self._making(api, settings, self.metrics),
                lambda: _sweeps(api, settings),
                settings=settings,
                metrics=self.metrics,
            )
            keeping = asyncio.create_task(lease.keep(), name="lease")
            try:
                working = _all(
                    keeping,
                    look.run(),
                    watch.run(look.look, settings, lambda: scope.readable(api, settings)),
                )
                await self._unless_stopped(working)
                await look.drain(DRAIN_SECONDS)
            except faults.Lost:
                await look.drain(0)
                raise
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
            await lease.release()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do it until it ends or we are told to stop; whether it came to its end."""
        doing = asyncio.create_task(work)
        waiting = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = doing.done()
            for each in (doing, waiting):
                each.cancel()
            await asyncio.gather(doing, waiting, return_exceptions=True)
        if ended:
            doing.result()
        return ended and not self.stopping.is_set()

    def _sick(self) -> str:
        if not self.leads or self._look is None:
            return ""
        last = self._look.listed or self._led_from
        age = asyncio.get_running_loop().time() - last
        late = age > _MISSED_LOOKS * self._settings.full_look_seconds
        return f"leads, and has not listed the sweeps for {age:.0f} s" if late else ""

    def _unready(self) -> str:
        assert self._lease is not None, "the server starts after it"
        reached = self._lease.age() < max(_UNREACHED_SECONDS, 2 * self._settings.lease_seconds)
        return "" if reached else "the API server was not reached lately"


async def _all(*works: Coroutine[Any, Any, Any] | asyncio.Task[Any]) -> None:
    """Until the first of them ends, which is always a failure; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks[1:]:  # the first is the Lease's, which is kept while looks drain
            task.cancel()
        await asyncio.gather(*tasks[1:], return_exceptions=True)


async def _sweeps(api: Api, settings: Settings) -> list[Key]:
    """All that we serve."""
    found = await scope.sweeps(api, settings)
    every = [item["metadata"] for items in found.values() for item in items]
    return [(each["namespace"], each["name"]) for each in every]
