"""What the kubelet and Prometheus are answered."""

import asyncio
from typing import Never

import aiohttp
import pytest

from scalingsweep.api.status import Phase
from scalingsweep_operator import server, service
from scalingsweep_operator.api import Api
from scalingsweep_operator.lease import Lease
from scalingsweep_operator.look import Key, Look
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.settings import Settings
from support import operators

Answer = tuple[int, str]


def _ask(probes: server.Probes, path: str, metrics: Metrics | None = None) -> Answer:
    async def story() -> Answer:
        serving = server.serving("127.0.0.1", 0, metrics or Metrics(), probes)
        async with (
            serving as port,
            aiohttp.ClientSession(trust_env=False) as session,
            session.get(f"http://127.0.0.1:{port}{path}") as answer,
        ):
            return answer.status, await answer.text()

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/healthz", 503, "has not listed the sweeps\n"),
        ("/readyz", 503, "the API server was not reached lately\n"),
        ("/nothing", 404, "404: Not Found"),
    ],
)
def test_what_is_wrong_is_said_with_a_status_that_kubelet_heeds(
    path: str, status: int, text: str
) -> None:
    ill = server.Probes(
        sick=lambda: "has not listed the sweeps",
        unready=lambda: "the API server was not reached lately",
    )
    assert _ask(ill, path) == (status, text)


def test_each_probe_answers_for_itself() -> None:
    unready = server.Probes(sick=lambda: "", unready=lambda: "not reached")
    assert _ask(unready, "/healthz") == (200, "ok\n")
    sick = server.Probes(sick=lambda: "stuck", unready=lambda: "")
    assert _ask(sick, "/readyz") == (200, "ok\n")


def _service() -> service.Service:
    return service.Service(Settings(worker_image="x"), operators.Seen().making)


@pytest.mark.parametrize(("age", "reached"), [(29.0, True), (31.0, False)])
def test_ready_is_who_reaches_the_api_server(age: float, reached: bool) -> None:
    made = _service()
    made._lease = Lease(_none(), Settings(worker_image="x"), clock=lambda: 1000.0)
    assert made._unready() != "", "it has not been reached yet"
    made._lease.reached = 1000.0 - age
    assert (made._unready() == "") == reached


@pytest.mark.parametrize(
    ("leads", "listed", "led", "well"),
    [
        (False, None, 0.0, True),
        (True, None, 299.0, True),
        (True, None, 301.0, False),
        (True, 299.0, 9999.0, True),
        (True, 301.0, 9999.0, False),
    ],
    ids=["stands by", "leads anew", "has never listed", "lists", "lists no more"],
)
def test_alive_is_who_lists_the_sweeps(
    leads: bool, listed: float | None, led: float, well: bool
) -> None:
    """Five full looks may fail: their pause is a minute."""

    async def story() -> str:
        now = asyncio.get_running_loop().time()
        made = _service()
        made.leads, made._led_from = leads, now - led
        made._look = Look(_never, _nothing, settings=made._settings, metrics=made.metrics)
        made._look.listed = None if listed is None else now - listed
        return made._sick()

    assert (asyncio.run(story()) == "") == well


def test_every_phase_is_there_with_its_zero() -> None:
    metrics = Metrics()
    metrics.sweep("a", "one", "Running", {"running": 2, "pending": 1})
    metrics.sweep("a", "two", None, {})
    before = metrics.text().decode()
    assert 'scalingsweep_trials{phase="running"} 2.0' in before
    assert 'scalingsweep_sweeps{phase="Pending"} 1.0' in before
    metrics.sweep("a", "one", "Complete", {"succeeded": 3})
    metrics.forgotten("a", "two")
    after = metrics.text().decode()
    for phase in ("running", "pending", "failed", "skipped"):
        assert f'scalingsweep_trials{{phase="{phase}"}} 0.0' in after
    for phase in ({*Phase} | {"Pending"}) - {Phase.COMPLETE}:
        assert f'scalingsweep_sweeps{{phase="{phase}"}} 0.0' in after
    assert 'scalingsweep_sweeps{phase="Complete"} 1.0' in after
    assert "planned" not in after


def _none() -> Api:
    return None  # type: ignore[return-value] # nothing is asked of it


async def _never(_namespace: str, _name: str) -> Never:
    raise AssertionError


async def _nothing() -> list[Key]:
    return []
