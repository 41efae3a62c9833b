"""Ends an attempt that goes no further: a rank that hangs, a device that answers no more.

The training thread beats as it goes; a thread beside it watches. Ranks tell each other their beats
through torchrun's store, which answers whatever state a rank is in, so that the last word of an
attempt names the rank that the others wait for. Collectives time out later than this (`ranks`).
"""

import faulthandler
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep_trainer import leaving
from scalingsweep_trainer.trial.ranks import Ranks

log = logging.getLogger("scalingsweep_trainer")

_LOOKS = 20
"""So often a rank looks while it is patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a rank tells of itself."""

    looks: int = 0
    """How often its watching thread has looked: it stands still where the process does."""
    beats: int = 0
    """How far its training thread has come; the same calls beat on every rank."""
    doing: str = "starting"
    """What it does since, for people."""


class Pulse:
    """The pulse of this rank's training thread; in a `with` around the attempt."""

    def __init__(self, ranks: Ranks, patience: float, path: Path | None) -> None:
        """Nothing is watched yet.

        Args:
            ranks: who takes part.
            patience: seconds without a beat that end the attempt.
            path: where this process's outcome goes; None watches nothing.
        """
        self._ranks = ranks
        self._patience = patience
        self._path = path
        self._beats = 0
        self._doing = Beat().doing
        self._over = threading.Event()
        self._leaving = threading.Lock()
        self._heard: dict[int, Beat] = {}
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        if self._path is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._leaving:  # a last word that is being said is heard to its end
            self._over.set()

    def beat(self, doing: str) -> None:
        """The training thread goes on to something."""
        self._doing = doing
        self._beats += 1

    def _watch(self) -> None:
        looks, seen, since = 0, -1, 0
        # looks are counted, not seconds: a process that was stopped has not waited
        while not self._over.wait(self._patience / _LOOKS):
            looks += 1
            since = since + 1 if seen == self._beats else 0
            seen = self._beats
            self._tell(Beat(looks=looks, beats=seen, doing=self._doing))
            if since == _LOOKS // 2:
                self._heard = self._listen()
            if since < _LOOKS:
                continue
            message = self._diagnosis(self._heard, self._listen())
            with self._leaving:
                if not self._over.is_set():
                    faulthandler.dump_traceback()  # where every thread of this rank is, for people
                    leaving.now(Outcome(klass=Class.INFRASTRUCTURE, message=message), self._path)

    def _diagnosis(self, before: dict[int, Beat], after: dict[int, Beat]) -> str:
        """Who is waited for: whoever does not even look, else who has come least far."""
        silent = [rank for rank, one in after.items() if before.get(rank) == one]
        least = min((one.beats for one in after.values()), default=0)
        behind = [rank for rank, one in after.items() if one.beats == least]
        seconds = f"{self._patience:.0f} s"
        if silent:
            who = _named(silent)
            return f"{who} answered no more for {seconds}, last at {after[silent[0]].doing}"
        if 0 < len(behind) < len(after):
            return f"{_named(behind)} hung for {seconds} at {after[behind[0]].doing}"
        return f"no progress for {seconds} at {self._doing}: the log tells where each thread is"

    def _tell(self, beat: Beat) -> None:
        if self._ranks.store is not None:
            text = f"{beat.looks} {beat.beats} {beat.doing}"
            try:
                self._ranks.store.set(str(self._ranks.rank), text)
            except RuntimeError as error:  # torch's errors of a store that is gone
                log.warning("cannot tell the other ranks of this one: %s", error)

    def _listen(self) -> dict[int, Beat]:
        """What every rank told last; nothing where there is nobody to ask."""
        if self._ranks.store is None:
            return {}
        names = [str(rank) for rank in range(self._ranks.size)]
        try:
            told = {
                name: _beat(self._ranks.store.get(name).decode())
                for name in names
                if self._ranks.store.check([name])
            }
        except RuntimeError as error:
            log.warning("cannot hear of the other ranks: %s", error)
            return {}
        return {rank: told.get(name, Beat()) for rank, name in enumerate(names)}


def _beat(text: str) -> Beat:
    looks, beats, doing = text.split(" ", 2)
    return Beat(looks=int(looks), beats=int(beats), doing=doing)


def _named(ranks: list[int]) -> str:
    return ("rank " if len(ranks) == 1 else "ranks ") + ", ".join(str(rank) for rank in ranks)
