"""How long an unreachable server is waited for. The one place that bounds it.

botocore repeats a request for some seconds. A study that runs for weeks meets servers that are
upgraded, throttled or cut off for minutes: for those who know that the location is right (a trial,
after prepare has written there) every request is asked again until the server is back. A stall then
only slows. It is said in the log, at its beginning and at its end.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from scalingsweep.errors import DiskFull, TransientError

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 600.0
"""For how long a worker asks again. Less than what the ranks of a trial wait for one another (15
minutes), so that the rank which speaks to S3 fails first and says why."""

_LONGEST_PAUSE = 10.0
_MOMENT = 1.0
"""While somebody waits to leave, its storage is asked more often."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a request that failed in passing is made again."""

    seconds: float = PATIENCE_SECONDS
    """From the first failure; each request has them anew."""
    trusted: bool = True
    """Whether the location was found right before: then a name that cannot be resolved is a name
    server's fault, and passes."""
    hurried: Callable[[], bool] = _never
    """Whether somebody wants to leave: then `hurried_seconds` are what is left."""
    hurried_seconds: float = 0.0
    """From the first failure after that; 0: a failure is the last. A save on the way out is worth
    waiting for as long as the grace allows."""

    def ask(self, request: Callable[[], T]) -> T:
        """The request's answer.

        Raises:
            TransientError: the last one, when patience is at its end; a full disk at once, for
                that is not the server's.
        """
        began: float | None = None
        hurried: float | None = None
        for usual in _pauses():
            try:
                answer = request()
            except DiskFull:
                raise
            except TransientError as error:
                now = time.monotonic()
                if began is None:
                    began = now
                    log.warning("%s; waiting for it, at most %.0f s", error, self.seconds)
                if self.hurried():
                    hurried = hurried or now
                pause, left = usual, self.seconds - (now - began)
                if hurried is not None:
                    pause = min(usual, _MOMENT)
                    left = min(left, self.hurried_seconds - (now - hurried))
                if pause > left:
                    raise
                self._sleep(pause)
            else:
                if began is not None:
                    log.warning("the storage answers again, %.0f s later", time.monotonic() - began)
                return answer
        raise AssertionError("pauses never end")

    def _sleep(self, seconds: float) -> None:
        """Sleep; no longer than a moment when somebody wants to leave."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _MOMENT))
            if self.hurried():
                return


def _pauses() -> Iterator[float]:
    """Seconds between tries: they double, and chance keeps those who failed together apart."""
    pause = 0.25
    while True:
        yield pause * random.uniform(0.5, 1)
        pause = min(2 * pause, _LONGEST_PAUSE)
