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

from scalingsweep.errors import TransientError

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 600.0
"""For how long a worker asks again. Less than what the ranks of a trial wait for one another (15
minutes), so that the rank which speaks to S3 fails first and says why."""

_LONGEST_PAUSE = 10.0


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
    """Whether somebody wants to leave: then a failure is the last."""

    def ask(self, request: Callable[[], T]) -> T:
        """The request's answer.

        Raises:
            TransientError: the last one, when patience is at its end.
        """
        began: float | None = None
        for pause in _pauses():
            try:
                answer = request()
            except TransientError as error:
                now = time.monotonic()
                if began is None:
                    began = now
                    log.warning("%s; waiting for it, at most %.0f s", error, self.seconds)
                if self.hurried() or now + pause - began > self.seconds:
                    raise
                time.sleep(pause)
            else:
                if began is not None:
                    log.warning("the storage answers again, %.0f s later", time.monotonic() - began)
                return answer
        raise AssertionError("pauses never end")


def _pauses() -> Iterator[float]:
    """Seconds between tries: they double, and chance keeps those who failed together apart."""
    pause = 0.25
    while True:
        yield pause * random.uniform(0.5, 1)
        pause = min(2 * pause, _LONGEST_PAUSE)
