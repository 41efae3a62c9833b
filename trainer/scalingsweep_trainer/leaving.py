"""A process that was told to stop is gone before its grace is over, whatever it is doing.

Mostly a flag (`trial.stop`) or an exception (`main`) is enough. But code in C looks at no signal, a
storage that stalls is waited for, and so is a rank that has died; at the end of the grace comes a
SIGKILL, and nobody would learn why. A thread therefore hears of the signal on its own, waits, and
at the deadline says the last word itself.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn, Self

from scalingsweep.api.outcome import EXIT_CODES, Class, Outcome
from scalingsweep_trainer import outcomes

WORKER_SHARE = 0.9
"""Of the grace: when a command's process leaves at the latest."""
TORCHRUN_SHARE = 0.8
"""Of the grace: when torchrun kills the ranks that are left; the launcher then still has a word."""
RANK_SHARE = 0.7
"""Of the grace: when a rank leaves at the latest."""


def now(outcome: Outcome, path: Path | None) -> NoReturn:
    """Write the outcome and end the process at once, from any thread."""
    if outcome.klass is not Class.DONE:
        print(f"{outcome.klass}: {outcome.message}", file=sys.stderr, flush=True)
    if path is not None:
        outcomes.write(path, outcome)
    os._exit(EXIT_CODES[outcome.klass])


class Deadline:
    """From SIGTERM or SIGINT on, so many seconds are left; in a `with` around the work.

    `signal.set_wakeup_fd` tells of a signal even while the main thread is in a library's C code.
    """

    def __init__(self, seconds: float, path: Path | None) -> None:
        """Begin to listen (main thread only; the signals must have handlers).

        Args:
            seconds: from the first signal to the end.
            path: where the outcome goes.
        """
        self._seconds = seconds
        self._path = path
        self.told = False
        """Whether a signal has come."""
        self._over = threading.Event()
        self._leaving = threading.Lock()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._listen, name="deadline", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        with self._leaving:  # a last word that is being said is heard to its end
            self._over.set()
        os.write(self._write, b"\0")
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _listen(self) -> None:
        while not self._over.is_set():
            numbers = os.read(self._read, 64)
            if not {signal.SIGTERM, signal.SIGINT}.isdisjoint(numbers):
                self.told = True
                self._over.wait(self._seconds)
                break
        with self._leaving:
            if not self._over.is_set():
                message = f"stopped, and not ready to leave after {self._seconds:.0f} s"
                now(
                    Outcome(
                        klass=Class.PREEMPTED,
                        message=f"{message}: what is saved is what the last checkpoint holds",
                    ),
                    self._path,
                )
