"""What there is to show of a run, gathered from its views, `/progress` and S3.

`live` draws it on a terminal, `lines` writes it without one; both show the same numbers.
"""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from typing import Self

from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key, Trial
from scalingsweep.store import Store
from scalingsweep.world import Decision, Phase, TrialPhase, Work
from scalingsweep_cli.local import estimate, words
from scalingsweep_cli.local.crew import Ended, Running
from scalingsweep_cli.local.losses import Losses
from scalingsweep_cli.local.progress import Poller, Progress
from scalingsweep_cli.local.runner import View
from scalingsweep_cli.local.study import Study

_TAIL_BYTES = 400


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attempt that is running."""

    work: Work
    phase: str
    progress: Progress | None
    seconds: float
    """How long it has been running."""
    said: str
    """Last line of its log, of prepare and fit: they have no `/progress`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The state at one moment."""

    decision: Decision
    rows: tuple[Row, ...]
    done: int
    total: int
    elapsed: float
    left: float | None
    stopping: bool


class Watch:
    """Follows one run; a context manager, for its threads."""

    def __init__(self, study: Study, open_store: Callable[[], Store]) -> None:
        self._study = study
        self._trials = {trial.key: trial for trial in study.plan.trials}
        self._poller = Poller()
        self._losses = Losses(open_store)
        self._began = time.monotonic()
        self._here: set[Key] | None = None
        """Trials that this run has to do; None until prepare has looked."""
        self._seen: dict[Key, estimate.Seen] = {}
        self._first_share: dict[Key, float] = {}
        self._waiting: dict[Key, Ended] = {}

    def __enter__(self) -> Self:
        self._poller.__enter__()
        self._losses.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._poller.__exit__()
        self._losses.__exit__()

    def ended(self, ended: Ended, view: View | None) -> None:
        """An attempt is over: its final loss is looked up, if it has one."""
        key = ended.order.work
        if not isinstance(key, Key):
            return
        self._first_share.pop(key, None)
        if ended.outcome.klass is Class.DONE:
            self._seen[key] = estimate.Seen(done=1, trained=1, seconds=ended.seconds)
            if view is not None and key in view.specs:
                self._waiting[key] = ended
                self._losses.want(key, view.specs[key])

    def losses(self) -> Iterator[tuple[Ended, float]]:
        """Finished trials whose final loss has been found since."""
        for key, loss in self._losses.found():
            if key in self._waiting:
                yield self._waiting.pop(key), loss

    def board(self, view: View) -> Board:
        """The state that a view shows."""
        phases = view.decision.trials
        self._poller.watch({work: one.port for work, one in view.running.items()})
        latest = self._poller.latest()
        rows = tuple(self._row(work, one, latest.get(work)) for work, one in view.running.items())
        if self._here is None and view.specs:
            self._here = {k for k, phase in phases.items() if phase is not TrialPhase.SUCCEEDED}
        done = view.decision.count(TrialPhase.SUCCEEDED)
        return Board(
            decision=view.decision,
            rows=rows,
            done=done,
            total=len(phases),
            elapsed=time.monotonic() - self._began,
            left=self._left(view.decision, stopping=view.stopping),
            stopping=view.stopping,
        )

    def _row(self, work: Work, running: Running, progress: Progress | None) -> Row:
        seconds = time.time() - running.entry.attempt.started
        if isinstance(work, Key) and progress is not None and progress.tokens_total:
            first = self._first_share.setdefault(work, progress.share)
            self._seen[work] = estimate.Seen(
                done=progress.share,
                trained=progress.share - first,
                seconds=seconds,
            )
        phase = "" if not isinstance(work, Key) else words.phase(progress, work)
        said = "" if isinstance(work, Key) else self._last_line(running)
        return Row(work=work, phase=phase, progress=progress, seconds=seconds, said=said)

    def _last_line(self, running: Running) -> str:
        log = self._study.folder.log(running.entry.work, running.entry.number)
        with contextlib.suppress(OSError), log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).decode(errors="replace").split("\n")
            words = [" ".join(line.split()) for line in lines]
            return "".join(c for c in next(filter(None, reversed(words)), "") if c.isprintable())
        return ""

    def _left(self, decision: Decision, *, stopping: bool) -> float | None:
        if stopping or decision.phase is not Phase.RUNNING or not self._here:
            return None
        lost = {TrialPhase.FAILED, TrialPhase.SKIPPED}
        todo: dict[Key, Trial] = {
            key: self._trials[key]
            for key in self._here
            if key in self._trials and decision.trials.get(key) not in lost
        }
        return estimate.seconds_left(
            todo, self._seen, parallel=self._study.sweep.spec.parallel_trial_count
        )
