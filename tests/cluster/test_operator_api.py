"""The API client on a real API server: preconditions, conflicts, kinds that are not there."""

import asyncio

import pytest
from hack.cluster.api import Api as Layer

from scalingsweep_operator import api, events, faults, resources
from scalingsweep_operator.metrics import Metrics
from support import apiserver, every_field
from support.resources import SWEEPS

pytestmark = pytest.mark.cluster


def test_the_verbs_on_a_real_server(server: apiserver.Client, api_server: Layer) -> None:
    value = every_field.manifests()["flops"]
    value["metadata"] = {"name": "spoken-of"}
    kind = resources.SWEEPS

    async def story() -> None:
        http = await api.connect(api_server.kubeconfig)
        async with api.Api(http, metrics=Metrics()) as client:
            await client.create(kind, "default", value, dry_run=True)
            assert await client.get(kind, "default", "spoken-of") is None
            made = await client.create(kind, "default", value)
            with pytest.raises(faults.Exists):
                await client.create(kind, "default", value)
            with pytest.raises(faults.Refused, match="unknown field"):
                await client.create(kind, "default", {**value, "sepc": {}}, dry_run=True)
            written = await client.replace_status(kind, made, {"phase": "Running"})
            assert written["status"]["phase"] == "Running"
            with pytest.raises(faults.Conflict):
                await client.replace_status(kind, made, {"phase": "Failed"})
            version = made["metadata"]["resourceVersion"]
            with pytest.raises(faults.Conflict):
                await client.patch(kind, "default", "spoken-of", {"spec": {}}, version=version)
            with pytest.raises(faults.Unknown):
                await client.list(resources.PYTORCH_JOBS, None)
            for _ in range(2):
                await events.post(
                    client, made, kind, reason="Planned", note="said twice", warning=False
                )
            told = await client.list(resources.EVENTS, "default")
            assert [e["note"] for e in told if e["regarding"]["name"] == "spoken-of"] == [
                "said twice"
            ]
            assert not await client.delete(kind, "default", "spoken-of", uid="another")
            uid = made["metadata"]["uid"]
            assert await client.delete(kind, "default", "spoken-of", uid=uid)
            assert not await client.delete(kind, "default", "spoken-of", uid=uid)

    asyncio.run(story())
    assert server.ask("GET", f"{SWEEPS}/spoken-of").status == 404
