"""A run where there is no terminal: one plain line for each thing that happens, and now and then
one for each running trial. No control codes, so that a log file stays readable.
"""

import time

from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key
from scalingsweep_cli.local import words
from scalingsweep_cli.local.crew import Ended, Running
from scalingsweep_cli.local.runner import View
from scalingsweep_cli.local.watch import Board, Row, Watch

EVERY_SECONDS = 15.0


class Lines:
    """Reports a run to standard output."""

    def __init__(self, watch: Watch, *, every: float = EVERY_SECONDS) -> None:
        self._watch = watch
        self._every = every
        self._spoke = time.monotonic()
        self._view: View | None = None

    def started(self, running: Running) -> None:
        """One line for a start."""
        number = running.entry.number
        self._say(f"start  {words.name(running.work)}" + (f" (attempt {number})" * (number > 1)))

    def ended(self, ended: Ended) -> None:
        """One line for an end; a trial's final loss comes when it has been read."""
        self._watch.ended(ended, self._view)
        name, klass = words.name(ended.order.work), ended.outcome.klass
        if klass is Class.DONE:
            said = f": {ended.outcome.message}" if ended.outcome.message else ""
            self._say(f"done   {name} in {words.clock(ended.seconds)}{said}")
        elif klass in {Class.PREEMPTED, Class.SUPERSEDED}:
            self._say(f"left   {name}: {klass}: {ended.outcome.message}")
        else:
            self._say(f"FAILED {words.failure(ended)}")

    def note(self, words: str) -> None:
        """One line for anything else."""
        self._say(f"note   {words}")

    def show(self, view: View) -> None:
        """Final losses as they are found, and the running trials now and then."""
        self._view = view
        board = self._watch.board(view)
        for ended, loss in self._watch.losses():
            self._say(f"loss   {words.name(ended.order.work)} {words.loss(loss)}")
        if time.monotonic() - self._spoke >= self._every:
            self._spoke = time.monotonic()
            for row in board.rows:
                self._say(_line(row))
            self._say(_summary(board))

    def _say(self, text: str) -> None:
        print(text, flush=True)


def _line(row: Row) -> str:
    if not isinstance(row.work, Key):
        said = f": {row.said}" if row.said else ""
        return f"       {words.name(row.work)}, {words.clock(row.seconds)}{said}"
    parts = [f"{row.work}", row.phase, words.steps(row.progress)]
    if row.progress is not None:
        if row.progress.loss is not None:
            parts.append(f"loss {words.loss(row.progress.loss)}")
        if row.progress.tokens_per_second is not None:
            parts.append(f"{words.rate(row.progress.tokens_per_second)} tokens/s")
        if row.progress.eta is not None:
            parts.append(f"{words.clock(row.progress.eta)} left")
    return "       " + ", ".join(part for part in parts if part)


def _summary(board: Board) -> str:
    left = "" if board.left is None else f", {words.roughly(board.left)} left"
    return (
        f"       {board.done}/{board.total} trials done, {words.clock(board.elapsed)} elapsed{left}"
    )
