"""Operators in this process, for tests on a real API server."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from scalingsweep_operator import settings
from scalingsweep_operator.api import Api
from scalingsweep_operator.look import Reconcile
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.service import Service
from scalingsweep_operator.settings import Settings


def given(kubeconfig: Path, **changes: Any) -> Settings:
    """Settings with a short Lease, and a full look that does not come by itself."""
    values = {
        "worker_image": "worker:test",
        "kubeconfig": kubeconfig,
        "lease_seconds": 3,
        "renew_seconds": 1,
        "full_look_seconds": 600,
        "http_host": "127.0.0.1",
        "http_port": 0,
    }
    return settings.Settings(**(values | changes))


class Seen:
    """A reconcile that only counts who was looked at."""

    def __init__(self) -> None:
        self.looks: Counter[tuple[str, str]] = Counter()

    def making(self, _api: Api, _settings: Settings, _metrics: Metrics) -> Reconcile:
        async def reconcile(namespace: str, name: str) -> None:
            self.looks[namespace, name] += 1

        return reconcile


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[asyncio.Task[None]]:
    """The service, told to stop at the end."""
    task = asyncio.create_task(service.run())
    try:
        yield task
    finally:
        service.stopping.set()
        await asyncio.wait_for(task, 40)


async def until(what: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)
