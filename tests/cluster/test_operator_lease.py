"""Two claims on one Lease of a real API server: never both, and never none for long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hack.cluster.api import Api as Layer

from scalingsweep_operator import api, faults, resources
from scalingsweep_operator.lease import Lease, boot_clock
from scalingsweep_operator.metrics import Metrics
from support import operators

pytestmark = pytest.mark.cluster


class _Clock:
    """The real one, with jumps."""

    ahead = 0.0

    def __call__(self) -> float:
        return boot_clock() + self.ahead


@contextlib.asynccontextmanager
async def _opened(kubeconfig: Path) -> AsyncIterator[api.Api]:
    async with api.Api(await api.connect(kubeconfig), metrics=Metrics(), timeout=5) as opened:
        yield opened


def _claim(opened: api.Api, kubeconfig: Path, who: str, clock: _Clock | None = None) -> Lease:
    given = operators.given(kubeconfig, identity=who, lease_name="claimed")
    return Lease(opened, given, clock=clock or _Clock())


def test_who_was_paused_beyond_its_end_knows_it_before_it_writes(api_server: Layer) -> None:
    async def story() -> None:
        async with _opened(api_server.kubeconfig) as opened:
            clock = _Clock()
            first = _claim(opened, api_server.kubeconfig, "first", clock)
            second = _claim(opened, api_server.kubeconfig, "second")
            await asyncio.wait_for(first.acquire(), 10)
            assert first.allowed()
            taking = asyncio.create_task(second.acquire())
            await asyncio.sleep(1)
            assert not second.allowed(), "it is the first one's"
            # the first is stopped here: nothing of it runs, while the second waits out its time
            await asyncio.wait_for(taking, 15)
            assert second.allowed()
            assert not first.allowed()
            gated = api.Api(
                await api.connect(api_server.kubeconfig), metrics=Metrics(), allowed=first.allowed
            )
            async with gated:
                with pytest.raises(faults.Lost):
                    await gated.create(resources.PODS, "default", {})
            with pytest.raises(faults.Lost):
                await asyncio.wait_for(first.keep(), 10)
            await first.release()
            held = await opened.get(resources.LEASES, "default", "claimed")
            assert held is not None
            assert held["spec"]["holderIdentity"] == "second", "the loser took nothing back"
            await second.release()

    asyncio.run(story())


def test_a_released_lease_is_taken_at_once(api_server: Layer) -> None:
    async def story() -> None:
        async with _opened(api_server.kubeconfig) as opened:
            first = _claim(opened, api_server.kubeconfig, "early")
            second = _claim(opened, api_server.kubeconfig, "late")
            await asyncio.wait_for(first.acquire(), 10)
            await first.release()
            assert not first.allowed()
            await asyncio.wait_for(second.acquire(), 1)
            assert second.allowed()
            await second.release()

    asyncio.run(story())


def test_a_kept_lease_outlives_its_duration_whatever_a_rival_believes(api_server: Layer) -> None:
    async def story() -> None:
        async with _opened(api_server.kubeconfig) as opened:
            first = _claim(opened, api_server.kubeconfig, "keeper")
            clock = _Clock()
            clock.ahead = 1e6  # another machine's clock says nothing
            second = _claim(opened, api_server.kubeconfig, "rival", clock)
            await asyncio.wait_for(first.acquire(), 10)
            keeping = asyncio.create_task(first.keep())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(second.acquire(), 7)
            assert first.allowed()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await first.release()

    asyncio.run(story())
