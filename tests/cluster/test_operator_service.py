"""Whole operators, their looking replaced by counting, on a real API server."""

import asyncio
import urllib.request
from typing import Any

import pytest
from hack.cluster.api import Api as Layer

from scalingsweep_operator import names
from scalingsweep_operator.service import Service
from support import apiserver, every_field, operators
from support.resources import SWEEPS

pytestmark = pytest.mark.cluster


def _sweep(server: apiserver.Client, name: str) -> None:
    value = every_field.manifests()["flops"]
    value["metadata"]["name"] = name
    answer = server.ask("POST", SWEEPS, value)
    assert answer.status == 201, answer.message


def _pod(name: str, sweep: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {names.SWEEP: sweep}},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    }


async def _read(port: int, path: str) -> str:
    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)


def test_one_of_two_leads_and_the_other_goes_on(
    server: apiserver.Client, api_server: Layer
) -> None:
    _sweep(server, "handed-over")
    key = ("default", "handed-over")

    async def story() -> None:
        seen = [operators.Seen(), operators.Seen()]
        one, two = (
            Service(
                operators.given(api_server.kubeconfig, identity=f"op-{n}", lease_name="handed"),
                each.making,
            )
            for n, each in enumerate(seen)
        )
        async with operators.running(one) as first:
            await operators.until(lambda: seen[0].looks[key] > 0)
            async with operators.running(two):
                await operators.until(lambda: two.port > 0)
                await asyncio.sleep(2)
                assert not seen[1].looks, "it stands by"
                assert "scalingsweep_leads 0.0" in await _read(two.port, "/metrics")
                assert "scalingsweep_leads 1.0" in await _read(one.port, "/metrics")
                for port in (one.port, two.port):
                    assert await _read(port, "/healthz") == "ok\n"
                    assert await _read(port, "/readyz") == "ok\n"
                one.stopping.set()
                await asyncio.wait_for(first, 30)
                await operators.until(lambda: seen[1].looks[key] > 0, 3)

    asyncio.run(story())


def test_a_child_that_comes_and_goes_is_looked_at(
    server: apiserver.Client, api_server: Layer
) -> None:
    _sweep(server, "watched-child")
    key = ("default", "watched-child")
    pods = "/api/v1/namespaces/default/pods"

    async def story() -> None:
        seen = operators.Seen()
        service = Service(operators.given(api_server.kubeconfig, lease_name="child"), seen.making)
        async with operators.running(service):
            await operators.until(lambda: seen.looks[key] > 0)
            await asyncio.sleep(4)  # the first lists of all kinds are told too
            before = seen.looks[key]
            made = server.ask("POST", pods, _pod("child", key[1]))
            assert made.status == 201, made.message
            await operators.until(lambda: seen.looks[key] > before)
            await asyncio.sleep(2)
            before = seen.looks[key]
            assert server.ask("DELETE", f"{pods}/child", {"gracePeriodSeconds": 0}).status == 200
            await operators.until(lambda: seen.looks[key] > before)
            found = server.ask("GET", f"{SWEEPS}/{key[1]}").body["metadata"]
            assert "finalizers" not in found
            assert not any("kopf" in name for name in found.get("annotations", {}))

    asyncio.run(story())
