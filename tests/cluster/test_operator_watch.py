"""What the watch misses, and what finds it; the command itself, from start to signal."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hack.cluster.api import Api as Layer

from scalingsweep_operator import names
from scalingsweep_operator.service import Service
from support import apiserver, every_field, operators
from support.proxy import Proxy
from support.resources import SWEEPS

pytestmark = pytest.mark.cluster
PODS = "/api/v1/namespaces/default/pods"


def _sweep(server: apiserver.Client, name: str) -> tuple[str, str]:
    value = every_field.manifests()["flops"]
    value["metadata"]["name"] = name
    answer = server.ask("POST", SWEEPS, value)
    assert answer.status == 201, answer.message
    return "default", name


def _pod(server: apiserver.Client, name: str, sweep: str) -> None:
    pod = {
        "metadata": {"name": name, "labels": {names.SWEEP: sweep}},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    }
    assert server.ask("POST", PODS, pod).status == 201


def test_a_watch_that_is_cut_begins_with_a_list(
    server: apiserver.Client, api_server: Layer, tmp_path: Path
) -> None:
    key = _sweep(server, "cut-off")
    text = api_server.kubeconfig.read_text("utf-8")
    address = server.address

    async def story(proxy: Proxy) -> None:
        config = tmp_path / "kubeconfig"
        config.write_text(text.replace(address, proxy.endpoint.replace("http:", "https:")))
        seen = operators.Seen()
        given = operators.given(config, lease_name="cut", lease_seconds=60, renew_seconds=5)
        service = Service(given, seen.making)
        async with operators.running(service):
            await operators.until(lambda: seen.looks[key] > 0)
            await asyncio.sleep(4)
            proxy.stop()
            _pod(server, "unheard", key[1])
            await asyncio.sleep(1)
            before = seen.looks[key]
            proxy.start()
            await operators.until(lambda: seen.looks[key] > before, 30)

    with Proxy(address.replace("https:", "http:")) as proxy:
        asyncio.run(story(proxy))


@pytest.mark.parametrize("namespaces", [(), ("default",)])
def test_the_full_look_finds_what_no_event_told(
    namespaces: tuple[str, ...], server: apiserver.Client, api_server: Layer
) -> None:
    key = _sweep(server, f"quiet-{len(namespaces)}")

    async def story() -> None:
        seen = operators.Seen()
        given = operators.given(
            api_server.kubeconfig,
            lease_name=f"quiet-{len(namespaces)}",
            full_look_seconds=2,
            namespaces=namespaces,
        )
        service = Service(given, seen.making)
        async with operators.running(service):
            await operators.until(lambda: seen.looks[key] > 0)
            await asyncio.sleep(4)
            before = seen.looks[key]
            await asyncio.sleep(5)  # nothing happens to it
            assert 1 <= seen.looks[key] - before <= 4

    asyncio.run(story())


def test_the_command_leaves_in_order_when_it_is_told_to(
    server: apiserver.Client, api_server: Layer
) -> None:
    command = Path(sys.executable).parent / "scalingsweep-operator"
    arguments = ["--worker-image=worker:test", "--lease-name=commanded", "--http-port=0"]
    arguments += [f"--kubeconfig={api_server.kubeconfig}", "--log-format=json"]
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases/commanded"
    process = subprocess.Popen(
        [command, *arguments], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        deadline = time.monotonic() + 30
        while server.ask("GET", leases).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(3)
        assert server.ask("GET", leases).body["spec"]["holderIdentity"]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert server.ask("GET", leases).body["spec"]["holderIdentity"] == ""
    assert all(line.startswith("{") for line in said.splitlines() if line), said
