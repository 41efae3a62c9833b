"""/metrics for Prometheus; /healthz and /readyz for the kubelet. `service` opens it.

Alive is who looks at the sweeps now and then, or stands by; ready is who reaches the API server,
a standby too: a rollout may go on before it leads.
"""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from scalingsweep_operator.metrics import Metrics


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What is asked; each answers with what is wrong, or nothing."""

    sick: Callable[[], str]
    """Why this process should be restarted."""
    unready: Callable[[], str]
    """Why it cannot work."""


@contextlib.asynccontextmanager
async def serving(host: str, port: int, metrics: Metrics, probes: Probes) -> AsyncIterator[int]:
    """Serve; the value is the port.

    Args:
        host: where.
        port: 0: any that is free.
        metrics: what /metrics shows.
        probes: what the others ask.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(_app(metrics, probes), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _app(metrics: Metrics, probes: Probes) -> web.Application:
    async def shown(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), content_type="text/plain", charset="utf-8")

    async def health(_: web.Request) -> web.Response:
        return _said(probes.sick())

    async def ready(_: web.Request) -> web.Response:
        return _said(probes.unready())

    app = web.Application()
    app.add_routes(
        [web.get("/metrics", shown), web.get("/healthz", health), web.get("/readyz", ready)]
    )
    return app


def _said(problem: str) -> web.Response:
    return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)
