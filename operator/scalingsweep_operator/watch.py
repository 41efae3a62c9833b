"""What tells of changes: kopf watches the sweeps and their children. `service` runs it.

Its handlers only say `look`: nothing is remembered, patched or finalized, and what kopf misses the
full look finds. kopf runs on a thread and loop of its own, because it cancels every task of its
loop that is younger than itself, and takes the signals where it is on the main thread.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Never

import kopf

from scalingsweep.errors import ScalingSweepError
from scalingsweep_operator import api, names, resources
from scalingsweep_operator.settings import Settings

_log = logging.getLogger(__name__)
CHILDREN = (resources.TRIALS, resources.PYTORCH_JOBS, resources.JOBS, resources.PODS)
_EXIT_SECONDS = 10.0
_AGAIN_SECONDS = 5.0
_CLOSING_SECONDS = 0.25
"""aiohttp says goodbye to a TLS peer after its session is closed; a loop that ends first leaves the
sockets open."""

Look = Callable[[str, str], None]
Readable = Callable[[], Awaitable[tuple[str, ...]]]
"""The namespaces that may be watched; none: all at once."""


async def run(look: Look, settings: Settings, readable: Readable) -> Never:
    """Watch until cancelled; kopf is begun anew when it ends, as it does where it may not watch."""
    while True:
        try:
            await _once(look, settings, await readable())
        except ScalingSweepError as error:
            _log.warning("nothing can be watched: %s", error)
        _log.warning("watching has ended: it begins anew in %g s", _AGAIN_SECONDS)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _once(look: Look, settings: Settings, namespaces: tuple[str, ...]) -> None:
    """One life of kopf."""
    loop = asyncio.get_running_loop()
    stop, ended = threading.Event(), asyncio.Event()

    def tell(namespace: str, name: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are ending
            loop.call_soon_threadsafe(look, namespace, name)

    def work() -> None:
        try:
            asyncio.run(_kopf(tell, settings, namespaces, stop))
        except Exception:  # noqa: BLE001  whatever it was, it is begun anew
            _log.exception("kopf failed")
        finally:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

    thread = threading.Thread(target=work, name="kopf", daemon=True)
    thread.start()
    try:
        await ended.wait()
    finally:
        stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _EXIT_SECONDS)


async def _kopf(
    tell: Look, settings: Settings, namespaces: tuple[str, ...], stop: threading.Event
) -> None:
    try:
        await kopf.operator(
            registry=registry(tell, settings),
            settings=configured(settings),
            stop_flag=stop,
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
        )
    finally:
        for left in asyncio.all_tasks() - {asyncio.current_task()}:
            left.cancel()  # it would ask on through a session that is closed
        await asyncio.sleep(_CLOSING_SECONDS)


def registry(tell: Look, settings: Settings) -> kopf.OperatorRegistry:
    """The handlers: on events alone, which cost no write."""
    found = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _credentials(settings)

    async def of_sweep(*, namespace: str | None, name: str | None, **_: Any) -> None:
        tell(str(namespace), str(name))

    async def of_child(*, namespace: str | None, labels: Any, **_: Any) -> None:
        if sweep := labels.get(names.SWEEP):
            tell(str(namespace), str(sweep))

    kopf.on.login(registry=found)(login)
    for kind in (resources.SWEEPS, *CHILDREN):
        handler = of_sweep if kind is resources.SWEEPS else of_child
        kopf.on.event(
            kind.group, kind.version, kind.plural, registry=found, id=f"look-{kind.plural}"
        )(handler)
    return found


def configured(settings: Settings) -> kopf.OperatorSettings:
    """Kopf's settings; its defaults leave a dead watch unnoticed and retries unbounded."""
    found = kopf.OperatorSettings()
    found.process.ultimate_exiting_timeout = None  # it would kill the whole process
    found.posting.enabled = False
    found.posting.loggers = False
    found.watching.server_timeout = 300
    found.watching.client_timeout = 310
    found.watching.connect_timeout = 10
    found.watching.inactivity_timeout = 70
    found.watching.chunk_size = 500
    found.networking.request_timeout = 30
    found.networking.connect_timeout = 10
    found.networking.enforce_retry_after = True
    found.networking.trust_env = True
    found.queueing.exit_timeout = 2.0
    found.execution.default_backoff = 5.0
    found.scanning.disabled = bool(settings.namespaces)  # namespaced rights cannot see CRDs
    for kind in CHILDREN:
        found.watching.label_selectors[kind.group, kind.version, kind.plural] = names.SWEEP
    return found


async def _credentials(settings: Settings) -> kopf.ConnectionInfo:
    """Ours, as they are now: kopf asks again when the API server refuses them."""
    client = await api.connect(settings.kubeconfig)
    try:
        found = client.configuration
        header = (await found.auth_settings()).get("BearerToken", {}).get("value", "")
        scheme, _, token = header.partition(" ")
        return kopf.ConnectionInfo(
            server=found.host,
            ca_path=found.ssl_ca_cert,
            insecure=not found.verify_ssl,
            scheme=scheme or None,
            token=token.strip() or None,
            username=found.username or None,
            password=found.password or None,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
            proxy_url=found.proxy,
            trust_env=True,
        )
    finally:
        await client.close()
