"""A token bucket: so many now, and so many a second. `api` takes one for each create."""

import asyncio
import time


class Bucket:
    """Used by one event loop; whoever waits goes on in the order of asking."""

    def __init__(self, *, rate: float, burst: int) -> None:
        """Begin full.

        Args:
            rate: tokens that come each second.
            burst: most tokens that wait to be taken.
        """
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at = time.monotonic()
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Take one, when there is one."""
        async with self._turn:
            self._fill()
            if self._tokens < 1:
                await asyncio.sleep((1 - self._tokens) / self._rate)
                self._fill()
            self._tokens -= 1

    def _fill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
