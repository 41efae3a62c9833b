"""A claim on a trial: of all attempts that run at once, for whatever reason, the newest writes.

A re-created pod, a zombie on a lost node, a second sweep over the same grid: each makes the next
claim with If-None-Match before it writes anything else, writes under its generation's folder, and
leaves as soon as it sees a newer one. Rank 0 alone holds it.
"""

import logging
import threading
from dataclasses import dataclass

from scalingsweep.errors import ScalingSweepError
from scalingsweep.store import Store
from scalingsweep_trainer import endings
from scalingsweep_trainer.trial import layout

log = logging.getLogger("scalingsweep_trainer")

WATCH_SECONDS = 10.0
"""How long a superseded attempt may go on training. It never writes: each write looks first."""


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
    names = [key.rpartition("/")[2] for key in store.list(layout.claims(trial))]
    generation = 1 + max((int(name) for name in names if name.isdigit()), default=0)
    while not store.put_if_absent(layout.claim(trial, generation), b"*"):
        generation += 1
    return Claim(store=store, trial=trial, generation=generation)


class Watch:
    """Looks for a newer claim every few seconds, off the training thread."""

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

    def _look(self) -> None:
        assert self._claim is not None
        while not self._end.wait(WATCH_SECONDS) and not self.superseded:
            try:
                self.superseded = self._claim.newer()
            except ScalingSweepError as error:
                # a write of consequence will meet the same fault and end the attempt if it lasts
                log.warning("cannot look at the claim: %s", error)
