"""Ctrl-C, SIGTERM and a closed terminal as a flag that the loop looks at between two acts.

Once is a request to save and leave; twice, to end at once.
"""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """Takes over the signals for a block; main thread only."""

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        """The first signal that came."""
        self.times = 0
        """How many came."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup it stays ignored
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def status(self) -> int:
        """The exit status that shells expect after this signal."""
        assert self.number is not None
        return 128 + self.number

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.number = self.number or signal.Signals(number)
        self.times += 1
