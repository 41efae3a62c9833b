"""SIGTERM and SIGINT as a flag: the loop looks at it between steps, where the state is whole."""

import signal


class Stop:
    """Whether this process was told to stop. Shared by reference; set once."""

    def __init__(self) -> None:
        self.requested = False

    @classmethod
    def install(cls) -> "Stop":
        """Take over the signals of this process (main thread only)."""
        stop = cls()

        def request(*_: object) -> None:
            stop.requested = True

        signal.signal(signal.SIGTERM, request)
        signal.signal(signal.SIGINT, request)
        return stop
