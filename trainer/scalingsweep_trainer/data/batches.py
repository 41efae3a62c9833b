"""The rows of each step, read by a thread ahead of the step that wants them.

The batch of step s is the global samples s·B … s·B + B − 1, whatever the world size. A rank gets a
contiguous share of ⌈B / world⌉ rows; where B does not divide, the last ranks get rows that repeat
and do not count, because under FSDP every rank must run as many forward passes as the others.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scalingsweep_trainer.data.shards import Tokens
from scalingsweep_trainer.data.stream import Stream

_NOTHING = object()
_LONG = 60.0
_CLOSE_SECONDS = 1.0
"""A thread that waits for storage may take minutes; it is a daemon, and hands nothing over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """One forward pass of one rank."""

    tokens: Tokens
    """[m, c + 1] token ids."""
    counts: NDArray[np.bool_]
    """[m] whether the row is part of the global batch; padding rows are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One rank's share of one step."""

    step: int
    """Updates done before this one; the step that these rows make is step + 1."""
    micro_batches: tuple[MicroBatch, ...]
    """As many on every rank."""
    replayed: int
    """Replayed rows in the global batch."""
    ledger: str
    """Digest of all (corpus, sequence) pairs up to and with this step, of all ranks."""


class Batches:
    """Iterates over steps `first` … `last − 1`; close it, or use it in a `with`."""

    def __init__(
        self,
        stream: Stream,
        *,
        batch: int,
        micro_batch: int,
        first: int,
        last: int,
        rank: int = 0,
        world: int = 1,
        ledger: str = "",
        ahead: int = 4,
    ) -> None:
        """Start to read.

        Args:
            stream: the trial's samples.
            batch: B, sequences of one step over all ranks.
            micro_batch: sequences of one forward pass of one rank.
            first: steps done already.
            last: steps done at the end.
            rank: which share.
            world: how many shares.
            ledger: the ledger at `first`, of the checkpoint; empty at step 0.
            ahead: batches kept ready.
        """
        assert 0 <= rank < world, (rank, world)
        self.waited = 0.0
        """Seconds that the last `next` waited for its batch."""
        self._stream = stream
        self._batch, self._micro_batch = batch, micro_batch
        self._rank, self._world = rank, world
        self._steps = range(first, last)
        self._ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
        self._next: Batch | BaseException | object | None = _NOTHING
        self._waiting = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._fill, args=(ledger,), name="batches", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def ready(self, seconds: float) -> bool:
        """Whether `next` has something to answer at once, after waiting at most so long for it."""
        assert not self._closed.is_set(), "closed"
        if self._next is _NOTHING:
            began = time.perf_counter()
            with contextlib.suppress(queue.Empty):
                self._next = self._ready.get(timeout=seconds)
            self._waiting += time.perf_counter() - began
        return self._next is not _NOTHING

    def __next__(self) -> Batch:
        while not self.ready(_LONG):
            pass
        found, self._next = self._next, _NOTHING
        self.waited, self._waiting = self._waiting, 0.0
        if isinstance(found, Batch):
            return found
        self.close()
        if isinstance(found, BaseException):
            raise found
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading; harmless twice. A read that does not come back is left behind."""
        self._closed.set()
        until = time.monotonic() + _CLOSE_SECONDS
        while self._thread.is_alive() and time.monotonic() < until:
            try:
                self._ready.get_nowait()  # the thread may wait for room
            except queue.Empty:
                self._thread.join(0.01)

    def _fill(self, ledger: str) -> None:
        try:
            for step in self._steps:
                batch = self._make(step, ledger)
                ledger = batch.ledger
                self._hand_over(batch)
                if self._closed.is_set():
                    return
            self._hand_over(None)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the batch is awaited
            self._hand_over(error)

    def _hand_over(self, item: Batch | BaseException | None) -> None:
        if not self._closed.is_set():
            self._ready.put(item)

    def _make(self, step: int, ledger: str) -> Batch:
        indices = np.arange(step * self._batch, (step + 1) * self._batch, dtype=np.int64)
        samples = self._stream.samples(indices)
        share = -(-self._batch // self._world)
        places = np.arange(self._rank * share, (self._rank + 1) * share)
        counts = places < self._batch
        rows = self._stream.tokens(samples.at(np.minimum(places, self._batch - 1)))
        cuts = range(0, share, self._micro_batch)
        return Batch(
            step=step,
            micro_batches=tuple(
                MicroBatch(
                    tokens=rows[cut : cut + self._micro_batch],
                    counts=counts[cut : cut + self._micro_batch],
                )
                for cut in cuts
            ),
            replayed=int(samples.replayed.sum()),
            ledger=self._stream.ledger(ledger, samples),
        )
