"""The API client before a server that is ill: a real one on loopback, which plays the wire."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from scalingsweep.errors import TransientError
from scalingsweep_operator import api, faults, resources
from scalingsweep_operator.metrics import Metrics

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PODS = resources.PODS


class _Server:
    """Answers with what a test tells it; remembers what it was asked."""

    def __init__(self, *answers: Handler) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str], Any]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, dict(request.query), await request.text()))
        return await self.answers.pop(0)(request)


def _says(code: int, body: Any, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=code, headers=headers)

    return answer


def _status(code: int, reason: str, **details: Any) -> Handler:
    return _says(code, {"kind": "Status", "reason": reason, "message": reason, "details": details})


async def _hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError


async def _hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def _cuts_short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "999"})
    await response.prepare(request)
    await response.write(b'{"kind": "Po')
    assert request.transport is not None
    request.transport.close()
    return response


@contextlib.asynccontextmanager
async def _client(
    server: _Server, folder: Path, *, allowed: Callable[[], bool] = lambda: True
) -> AsyncIterator[tuple[api.Api, Metrics]]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    config = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    metrics = Metrics()
    http = await api.connect(folder / "kubeconfig")
    try:
        async with api.Api(http, metrics=metrics, allowed=allowed, timeout=0.5) as client:
            yield client, metrics
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "answer",
    [_hangs, _hangs_up, _cuts_short, _status(500, "InternalError"), _says(200, [])],
    ids=["hangs", "hangs up", "cut short", "500", "no object"],
)
def test_what_passes_is_transient(answer: Handler, tmp_path: Path) -> None:
    async def story() -> None:
        # a connection that is closed is tried once more by the HTTP library, where that is safe
        async with _client(_Server(answer, answer), tmp_path) as (client, _):
            with pytest.raises(TransientError):
                await client.get(PODS, "default", "one")

    asyncio.run(story())


def test_a_busy_server_is_asked_again_when_it_says_and_not_for_ever(tmp_path: Path) -> None:
    async def story() -> None:
        busy = _says(429, {"kind": "Status"}, **{"Retry-After": "1"})
        pod = {"metadata": {"name": "one"}}
        server = _Server(busy, _says(200, pod), *[busy] * 4)
        async with _client(server, tmp_path) as (client, metrics):
            began = asyncio.get_running_loop().time()
            assert await client.get(PODS, "default", "one") == pod
            assert asyncio.get_running_loop().time() - began >= 1
            with pytest.raises(TransientError):
                await client.get(PODS, "default", "one")
            assert not server.answers, "four tries"
            assert 'code="429",verb="GET"} 5.0' in metrics.text().decode()

    asyncio.run(story())


def test_a_list_that_expires_while_it_is_read_is_read_anew(tmp_path: Path) -> None:
    async def story() -> None:
        def page(name: str, following: str = "") -> Handler:
            item = {"metadata": {"name": name}}
            return _says(200, {"items": [item], "metadata": {"continue": following}})

        expired = _status(410, "Expired")
        server = _Server(page("old", "more"), expired, page("a", "more"), page("b"))
        async with _client(server, tmp_path) as (client, _):
            found = await client.list(PODS, None, labels="x=y")
        assert [item["metadata"]["name"] for item in found] == ["a", "b"]
        assert found[0]["kind"] == "Pod"
        queries = [query for _, query, _ in server.asked]
        assert [query.get("continue") for query in queries] == [None, "more", None, "more"]
        assert all(query["limit"] == "500" for query in queries)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (_status(409, "AlreadyExists", name="one"), faults.Exists),
        (_status(404, "NotFound", name="default"), faults.Terminating),
        (_status(404, "NotFound"), faults.Unknown),
        (
            _status(403, "Forbidden", causes=[{"reason": "NamespaceTerminating"}]),
            faults.Terminating,
        ),
        (_status(403, "Forbidden"), faults.Refused),
        (_status(422, "Invalid"), faults.Refused),
        (
            _says(500, {"message": 'Internal error occurred: failed calling webhook "m.kb.io"'}),
            faults.Unadmitted,
        ),
    ],
)
def test_what_a_refused_create_means(
    answer: Handler, fault: type[Exception], tmp_path: Path
) -> None:
    async def story() -> None:
        async with _client(_Server(answer), tmp_path) as (client, _):
            with pytest.raises(fault):
                await client.create(PODS, "default", {})

    asyncio.run(story())


def test_a_delete_names_the_uid_and_minds_no_absence(tmp_path: Path) -> None:
    async def story() -> None:
        server = _Server(
            _says(200, {}), _status(404, "NotFound", name="one"), _status(409, "Conflict")
        )
        async with _client(server, tmp_path) as (client, _):
            told = [await client.delete(PODS, "default", "one", uid="u") for _ in range(3)]
        assert told == [True, False, False]
        options = json.loads(server.asked[0][2])
        assert options["preconditions"] == {"uid": "u"}
        assert options["propagationPolicy"] == "Background"

    asyncio.run(story())


def test_nothing_is_written_once_the_lease_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        server = _Server()
        async with _client(server, tmp_path, allowed=lambda: False) as (client, _):
            one = {"metadata": {"name": "one", "namespace": "default"}}
            for write in (
                client.create(PODS, "default", one),
                client.replace(PODS, one),
                client.replace_status(PODS, one, {}),
                client.patch(PODS, "default", "one", {}, version="1"),
                client.delete(PODS, "default", "one", uid="u"),
            ):
                with pytest.raises(faults.Lost):
                    await write
        assert not server.asked

    asyncio.run(story())
