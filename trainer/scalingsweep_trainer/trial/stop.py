"""SIGTERM and SIGINT as a flag: the loop looks at it between steps, where the state is whole."""

import signal
from collections.abc import Callable


class Stop:
    """Whether this process was told to stop. Shared by reference; set once."""

    def __init__(self) -> None:
        self.requested = False
        self._then: Callable[[], object] | None = None

    @classmethod
    def install(cls) -> "Stop":
        """Take over the signals of this process (main thread only)."""
        stop = cls()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop._request)
        return stop

    def then(self, act: Callable[[], object]) -> None:
        """Act on every signal, and at once if one has come already."""
        self._then = act
        if self.requested:
            act()

    def _request(self, *_: object) -> None:
        self.requested = True
        if self._then is not None:
            self._then()
