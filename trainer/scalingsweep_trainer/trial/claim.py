"""A claim on a trial: of all attempts that run at once, for whatever reason, the newest writes.

A re-created pod, a zombie on a lost node, a second sweep over the same grid: each makes the next
claim with If-None-Match before it writes anything else, writes under its generation's folder, and
leaves as soon as it sees a newer one. Rank 0 alone holds it.

While it lives it says so every few seconds (`alive`). An attempt whose predecessor was superseded
waits for the end of these words: otherwise two control planes with the same trial would supersede
each other for ever.
"""

import contextlib
import logging
import threading
import time
import uuid
from dataclasses import dataclass

from scalingsweep.errors import ScalingSweepError
from scalingsweep.store import Missing, Store
from scalingsweep_trainer import endings
from scalingsweep_trainer.trial import layout

log = logging.getLogger("scalingsweep_trainer")

WATCH_SECONDS = 10.0
"""How long a superseded attempt may go on training. It never writes: each write looks first."""
SILENT_SECONDS = 60.0
"""Whoever has said nothing for so long is taken for dead. It may be wrong: claims fence."""

_GONE = b"gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The claim of this attempt."""

    store: Store
    trial: str
    generation: int

    def check(self) -> None:
        """Look whether this claim still is the newest; before every write of consequence.

        Raises:
            Superseded: a newer one exists.
        """
        if self.newer():
            raise endings.Superseded(f"a newer attempt than g{self.generation:04} holds the claim")

    def newer(self) -> bool:
        """Whether a newer claim exists: they are made without gaps."""
        return self.store.exists(layout.claim(self.trial, self.generation + 1))


def take(store: Store, trial: str) -> Claim:
    """Make the next claim."""
    generation = _newest(store, trial) + 1
    while not store.put_if_absent(layout.claim(trial, generation), b"*"):
        generation += 1
    return Claim(store=store, trial=trial, generation=generation)


def await_silence(store: Store, trial: str, silent: float = SILENT_SECONDS) -> None:
    """Wait while another attempt is alive.

    Args:
        store: where.
        trial: its id.
        silent: seconds without a word after which it is not.
    """
    heard, since = (0, b""), time.monotonic()
    while True:
        generation, said = _newest(store, trial), b""
        with contextlib.suppress(Missing):
            said = store.get(layout.alive(trial, generation))
        if said == _GONE or generation == 0:
            return
        if heard[0] != generation:
            log.info("waiting for another attempt at this trial (g%04d)", generation)
        if heard != (generation, said):
            heard, since = (generation, said), time.monotonic()
        elif time.monotonic() - since >= silent:
            return
        time.sleep(min(WATCH_SECONDS, silent) / 4)


def _newest(store: Store, trial: str) -> int:
    names = [key.rpartition("/")[2] for key in store.list(layout.claims(trial))]
    return max((int(name) for name in names if name.isdigit()), default=0)


class Watch:
    """Every few seconds looks for a newer claim and says that it lives; off the training thread."""

    def __init__(self, claim: Claim | None) -> None:
        """Start to look; `claim` is None on all ranks but the first."""
        self.superseded = False
        self._claim = claim
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, name="claim", daemon=True)
        if claim is not None:
            self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(2)  # it says good-bye, if the storage listens

    def _look(self) -> None:
        assert self._claim is not None
        while not self.superseded and not self._end.is_set():
            try:
                self._say(uuid.uuid4().hex.encode())
                self.superseded = self._claim.newer()
            except ScalingSweepError as error:
                # a write of consequence will meet the same fault and end the attempt if it lasts
                log.warning("cannot look at the claim: %s", error)
            self._end.wait(WATCH_SECONDS)
        with contextlib.suppress(ScalingSweepError):
            self._say(_GONE)

    def _say(self, word: bytes) -> None:
        assert self._claim is not None
        one = self._claim
        one.store.put(layout.alive(one.trial, one.generation), word)
