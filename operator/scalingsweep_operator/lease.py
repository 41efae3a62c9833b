"""Who works: a coordination.k8s.io Lease, held by one operator at a time. `service` holds it.

As client-go does it: of another holder's times only whether they change is believed, by our own
clock, so that clocks may differ. Our own right to write ends some time before others may take the
Lease, by a clock that runs on while the process is stopped and while the machine sleeps.
"""

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Never

from scalingsweep.errors import ScalingSweepError
from scalingsweep_operator import faults, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.resources import Object
from scalingsweep_operator.settings import Settings

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_MARGIN = 1 / 3
"""Share of the Lease's time that is given up, for a request under way and for drifting clocks."""


def boot_clock() -> float:
    """Seconds; unlike time.monotonic() it counts a suspended machine's sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """One process's claim. Its `api` writes without asking `allowed`, which is this one's."""

    def __init__(
        self, api: Api, settings: Settings, *, clock: Callable[[], float] = boot_clock
    ) -> None:
        """Take an API whose requests fail well before the Lease ends.

        Args:
            api: the API server.
            settings: the Lease's name, place and times, and who we are.
            clock: seconds that only grow.
        """
        self._api = api
        self._settings = settings
        self._clock = clock
        self._mine: Object | None = None
        self._until = float("-inf")
        self._seen: Any = None
        self._seen_at = float("-inf")
        self.reached = float("-inf")
        """When the API server last answered about the Lease, by the clock."""

    def allowed(self) -> bool:
        """Whether this process may write now."""
        return self._clock() < self._until

    def age(self) -> float:
        """Seconds since the API server last answered."""
        return self._clock() - self.reached

    async def acquire(self) -> None:
        """Wait until it is ours."""
        while True:
            with _logged("the Lease cannot be had now"):
                if await self._take():
                    return
            await asyncio.sleep(min(_RETRY_SECONDS, self._settings.renew_seconds))

    async def keep(self) -> Never:
        """Renew it for as long as this process lives.

        Raises:
            Lost: another has it, or it could not be renewed in time.
        """
        pause = self._settings.renew_seconds
        while True:
            await asyncio.sleep(pause)
            pause = self._settings.renew_seconds
            if not self.allowed():
                raise faults.Lost("the Lease could not be renewed in time")
            try:
                async with asyncio.timeout(self._settings.lease_seconds * _MARGIN):
                    await self._renew()
            except faults.Lost:
                raise
            except (ScalingSweepError, TimeoutError) as error:
                _log.warning("the Lease was not renewed: %r", error)
                pause = min(_RETRY_SECONDS, pause)

    async def release(self) -> None:
        """Give it up, so that another need not wait; nothing may be written after it."""
        self._until = float("-inf")
        mine, self._mine = self._mine, None
        if mine is None:
            return
        with _logged("the Lease was not released: another waits until it runs out"):
            # the shortest duration that the API server takes
            spec = {**mine["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            await self._api.replace(resources.LEASES, {**mine, "spec": spec})

    async def _take(self) -> bool:
        found = await self._read()
        if found is None:
            return await self._make()
        spec = found.get("spec", {})
        holder = spec.get("holderIdentity", "")
        if holder not in {"", self._settings.identity} and not self._expired(spec):
            return False
        with contextlib.suppress(faults.Conflict):  # another was quicker
            await self._write(found, taken=holder != self._settings.identity)
            _log.info("holds the Lease %s", self._settings.lease_name)
            return True
        return False

    def _expired(self, spec: dict[str, Any]) -> bool:
        """Whether it has stood still, before our eyes, for as long as its holder said."""
        state = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("acquireTime"))
        if state != self._seen:
            self._seen, self._seen_at = state, self._clock()
        duration = float(spec.get("leaseDurationSeconds") or self._settings.lease_seconds)
        return self._clock() >= self._seen_at + duration

    async def _renew(self) -> None:
        assert self._mine is not None, "acquire() comes first"
        try:
            await self._write(self._mine, taken=False)
        except faults.Conflict:
            # somebody has touched it, or our own last write arrived and its answer did not
            found = await self._read()
            holder = (found or {}).get("spec", {}).get("holderIdentity", "")
            if found is None or holder != self._settings.identity:
                self._until = float("-inf")
                raise faults.Lost(f"{holder or 'nobody'} holds the Lease now") from None
            await self._write(found, taken=False)

    async def _make(self) -> bool:
        metadata = {"name": self._settings.lease_name, "namespace": self._settings.namespace}
        body = {
            "apiVersion": resources.LEASES.api_version,
            "kind": resources.LEASES.kind,
            "metadata": metadata,
        }
        at = self._clock()
        try:
            made = await self._api.create(
                resources.LEASES, self._settings.namespace, {**body, "spec": self._spec({}, True)}
            )
        except faults.Exists:
            return False
        self._hold(made, at)
        return True

    async def _write(self, found: Object, *, taken: bool) -> None:
        at = self._clock()
        spec = self._spec(found.get("spec", {}), taken)
        self._hold(await self._api.replace(resources.LEASES, {**found, "spec": spec}), at)

    def _hold(self, written: Object, at: float) -> None:
        """It is ours from when the request began: nobody can know when it arrived."""
        self._mine = written
        self._until = at + self._settings.lease_seconds * (1 - _MARGIN)
        self.reached = self._clock()

    def _spec(self, former: dict[str, Any], taken: bool) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changed = {
            "holderIdentity": self._settings.identity,
            "leaseDurationSeconds": max(1, round(self._settings.lease_seconds)),
            "renewTime": now,
        }
        if taken:
            changed["acquireTime"] = now
            changed["leaseTransitions"] = former.get("leaseTransitions", -1) + 1
        return {**former, **changed}

    async def _read(self) -> Object | None:
        found = await self._api.get(
            resources.LEASES, self._settings.namespace, self._settings.lease_name
        )
        self.reached = self._clock()
        return found


@contextlib.contextmanager
def _logged(words: str) -> Iterator[None]:
    """Failures that the next try may mend."""
    try:
        yield
    except ScalingSweepError as error:
        _log.warning("%s: %s", words, error)
