"""The final loss of a trial that has just ended, for the display: read from S3 in a thread.

The outcome says which budgets are complete; what they reached is in the results, and only there.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Self

from scalingsweep.api import result
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import ScalingSweepError
from scalingsweep.plan import Key
from scalingsweep.store import Store

OpenStore = Callable[[], Store]


class Losses:
    """Looks results up one by one: `with Losses(open_store) as losses: losses.want(key, spec)`."""

    def __init__(self, open_store: OpenStore) -> None:
        """Name how a store is opened; it is, when the first loss is wanted."""
        self._open = open_store
        self._wanted: queue.SimpleQueue[tuple[Key, TrialSpec] | None] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[tuple[Key, float]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="losses", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wanted.put(None)
        self._thread.join(2)

    def want(self, key: Key, spec: TrialSpec) -> None:
        """Look up the loss of a finished trial's largest budget on its own validation split."""
        self._wanted.put((key, spec))

    def found(self) -> list[tuple[Key, float]]:
        """What was found since the last call."""
        new = []
        with contextlib.suppress(queue.Empty):
            while True:
                new.append(self._found.get_nowait())
        return new

    def _loop(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            key, spec = wanted
            with contextlib.suppress(ScalingSweepError):
                at = result.key(spec.id, spec.budgets[-1], spec.held_out)
                value = result.Result.from_wire(self._open().get_json(at), at)
                self._found.put((key, value.loss))
