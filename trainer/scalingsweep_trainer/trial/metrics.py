"""Step records in S3: JSON lines in new objects, never rewritten. The report draws curves of them.

Records are gathered in memory and go out every few seconds in a thread, so that no step waits for
S3. Each object is named by its branch and its first record's step.
"""

import json
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from scalingsweep.store import Store
from scalingsweep_trainer.trial import layout

FLUSH_SECONDS = 20.0
"""A killed attempt loses so much of its curve at most."""


class Metrics:
    """The records of one attempt; on rank 0."""

    def __init__(self, store: Store, trial: str, generation: int) -> None:
        self._store = store
        self._trial = trial
        self._generation = generation
        self._branch = ""
        self._records: list[Mapping[str, Any]] = []
        self._flushed = time.monotonic()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")
        self._writing: list[Future[bool]] = []

    def add(self, branch: str, record: Mapping[str, Any]) -> None:
        """Take one record; `step` in it never falls on a branch."""
        if branch != self._branch:
            self.flush()
            self._branch = branch
        self._records.append(record)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            # the last one waits: an evaluation may follow at its step, which would name its object
            self._send(keep=1)

    def flush(self) -> None:
        """Send what there is."""
        self._send(keep=0)

    def close(self) -> None:
        """Send the rest and wait for it; `check` tells what the writes met."""
        self.flush()
        self._thread.shutdown()

    def check(self) -> None:
        """Raise what a finished write met."""
        for write in self._writing:
            if write.done():
                write.result()

    def _send(self, *, keep: int) -> None:
        self._flushed = time.monotonic()
        going = self._records[: len(self._records) - keep]
        self._records = self._records[len(going) :]
        if going:
            first = int(going[0]["step"])
            key = layout.metrics(self._trial, self._generation, self._branch, first)
            lines = [json.dumps(record, separators=(",", ":")) for record in going]
            data = ("\n".join(lines) + "\n").encode()
            self._writing = [
                write for write in self._writing if not write.done() or write.exception()
            ]
            self._writing.append(self._thread.submit(self._store.put_if_absent, key, data))
