"""When each sweep is looked at: told to, after a failure, when it asked, and once a minute anyway.

Level-triggered: who says `look` says that something may have changed, not what. So a thousand
words about one sweep are one look, and a word that is lost costs a minute. `watch` speaks here,
`reconcile` does the looking, `service` runs it.
"""

import asyncio
import contextlib
import dataclasses
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Never

from scalingsweep.errors import TransientError
from scalingsweep_operator import faults
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.settings import Settings

_log = logging.getLogger(__name__)
EVERY_SECONDS = 1.0
"""One sweep is looked at no more often."""
LONGEST_SECONDS = 300.0
"""A look that takes longer hangs."""
MOST_BACKOFF_SECONDS = 60.0

Key = tuple[str, str]
"""Namespace and name of a sweep."""
Reconcile = Callable[[str, str], Awaitable[float | None]]
Listing = Callable[[], Awaitable[list[Key]]]


@dataclasses.dataclass(slots=True, kw_only=True)
class _Turn:
    """What is known of one sweep's looks; times are the event loop's."""

    due: float | None = None
    """When it is looked at next; None: when somebody says so."""
    not_before: float = 0.0
    """Words do not bring it forward of that: the pause between looks, or a back-off."""
    failures: int = 0
    task: asyncio.Task[None] | None = None


class Look:
    """The queue and its workers; lives on one event loop."""

    def __init__(
        self,
        reconcile: Reconcile,
        listing: Listing,
        *,
        settings: Settings,
        metrics: Metrics,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        """Take what looks.

        Args:
            reconcile: looks at one sweep, and says in how many seconds to look again.
            listing: all sweeps that there are.
            settings: how many at a time, and how often all of them.
            metrics: where looks are counted.
            longest: seconds that one look may take.
        """
        self._reconcile = reconcile
        self._listing = listing
        self._settings = settings
        self._metrics = metrics
        self._longest = longest
        self._turns: dict[Key, _Turn] = {}
        self._wake = asyncio.Event()
        self._lost: faults.Lost | None = None
        self._draining = False
        self.listed: float | None = None
        """When all sweeps were last listed, by the event loop's clock."""

    def look(self, namespace: str, name: str) -> None:
        """Something may have changed of this sweep."""
        turn = self._turns.setdefault((namespace, name), _Turn())
        self._ask(turn, _now())

    async def run(self) -> Never:
        """Look, until cancelled.

        Raises:
            Lost: a look was refused its writes: another process leads.
        """
        full = asyncio.create_task(self._full_looks(), name="full look")
        try:
            while True:
                self._wake.clear()
                if self._lost is not None:
                    raise self._lost
                pause = self._start_due()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
        finally:
            full.cancel()
            await asyncio.gather(full, return_exceptions=True)

    async def drain(self, seconds: float) -> None:
        """Begin nothing more; what runs may end in this time, then it is cancelled."""
        self._draining = True
        running = [turn.task for turn in self._turns.values() if turn.task is not None]
        if running:
            _, late = await asyncio.wait(running, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _ask(self, turn: _Turn, when: float) -> None:
        at = max(when, turn.not_before)
        turn.due = at if turn.due is None else min(turn.due, at)
        self._wake.set()

    def _start_due(self) -> float | None:
        """Begin what is due, as far as there are workers; seconds until something is."""
        now = _now()
        free = self._settings.workers - sum(1 for t in self._turns.values() if t.task is not None)
        if free <= 0 or self._draining:
            return None
        waiting = sorted(
            (turn.due, key)
            for key, turn in self._turns.items()
            if turn.due is not None and turn.task is None
        )
        for due, key in waiting:
            if due > now:
                return due - now
            if not free:
                return None
            free -= 1
            turn = self._turns[key]
            turn.due, turn.not_before = None, now + EVERY_SECONDS
            turn.task = asyncio.create_task(self._once(key, turn), name=f"look at {'/'.join(key)}")
        return None

    async def _once(self, key: Key, turn: _Turn) -> None:
        began, result = _now(), "error"
        try:
            async with asyncio.timeout(self._longest):
                again = await self._reconcile(*key)
            turn.failures, result = 0, "done"
            if again is not None:
                self._ask(turn, _now() + again)
        except faults.Lost as lost:
            self._lost = lost
        except TransientError as error:
            result = "later"
            _log.info("%s/%s: later: %s", *key, error)
            self._back_off(turn)
        except (faults.Refused, faults.Unknown) as error:  # a right that our role lacks, a CRD
            _log.warning("%s/%s: a look failed: %s", *key, error)
            self._back_off(turn)
        except Exception:  # noqa: BLE001  a bug in one sweep's look must not end the others'
            _log.exception("%s/%s: a look failed", *key)
            self._back_off(turn)
        finally:
            turn.task = None
            self._metrics.reconciled(result, _now() - began)
            self._wake.set()

    def _back_off(self, turn: _Turn) -> None:
        turn.failures += 1
        longest = min(MOST_BACKOFF_SECONDS, 2.0 ** min(turn.failures - 1, 16))
        turn.not_before = _now() + longest * random.uniform(0.75, 1.0)
        turn.due = turn.not_before

    async def _full_looks(self) -> Never:
        failures = 0
        while True:
            try:
                found = await self._listing()
            except faults.Lost as lost:  # a listing writes nothing; but who knows of it, ends
                self._lost = lost
                self._wake.set()
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, the next one may succeed
                failures += 1
                _log.warning("the sweeps cannot be listed: %r", error)
                every = self._settings.full_look_seconds
                await asyncio.sleep(min(every, 2.0 ** min(failures - 1, 16)))
                continue
            failures, self.listed = 0, _now()
            self._keep(set(found))
            for key in found:
                self.look(*key)
            await asyncio.sleep(self._settings.full_look_seconds)

    def _keep(self, found: set[Key]) -> None:
        """Forget sweeps that are gone and that nobody has asked for."""
        for key, turn in list(self._turns.items()):
            if key not in found and turn.task is None and turn.due is None:
                del self._turns[key]
                self._metrics.forgotten(*key)


def _now() -> float:
    return asyncio.get_running_loop().time()
