"""A run on a terminal: what has happened scrolls by; what is running stands below, redrawn.

Everything fits into 80 columns; a wider terminal gets bars.
"""

import time
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key
from scalingsweep.world import Phase, TrialPhase
from scalingsweep_cli.local import words
from scalingsweep_cli.local.crew import Ended, Running
from scalingsweep_cli.local.runner import View
from scalingsweep_cli.local.study import Study
from scalingsweep_cli.local.watch import Board, Row, Watch

_OTHERS = 84
"""Columns of all but the bar, long names and numbers included."""
_SHORTEST_BAR = 12
_LOSS_SECONDS = 5.0
"""How long a finished trial waits for its loss before it is shown without."""


class Live:
    """Reports a run on a terminal; a context manager that gives the terminal back as it was."""

    def __init__(self, study: Study, watch: Watch, console: Console) -> None:
        self._study = study
        self._watch = watch
        self._console = console
        self._live = RichLive(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._view: View | None = None
        self._unsaid: dict[Key, tuple[float, Ended]] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        for _since, ended in self._unsaid.values():
            self._done(ended)
        self._live.stop()

    def started(self, running: Running) -> None:
        """Its row says it."""

    def ended(self, ended: Ended) -> None:
        """One line that stays, with the final loss where there is one."""
        self._watch.ended(ended, self._view)
        work, outcome = ended.order.work, ended.outcome
        if outcome.klass is Class.DONE and isinstance(work, Key):
            self._unsaid[work] = (time.monotonic(), ended)  # until its loss has been read
        elif outcome.klass is Class.DONE:
            self._done(ended)
        elif outcome.klass in {Class.PREEMPTED, Class.SUPERSEDED}:
            self._say("–", "yellow", f"{words.name(work)}: {outcome.klass}: {outcome.message}")
        else:
            self._say("✗", "bold red", words.failure(ended))

    def note(self, words: str) -> None:
        """One line that stays."""
        self._say("!", "yellow", words)

    def show(self, view: View) -> None:
        """Redraw."""
        self._view = view
        board = self._watch.board(view)
        for ended, loss in self._watch.losses():
            work = ended.order.work
            if isinstance(work, Key) and self._unsaid.pop(work, None) is not None:
                self._done(ended, loss)
        for work, (since, ended) in list(self._unsaid.items()):
            if time.monotonic() - since > _LOSS_SECONDS:
                del self._unsaid[work]
                self._done(ended)
        self._live.update(self._draw(board), refresh=True)

    def _done(self, ended: Ended, loss: float | None = None) -> None:
        name = words.name(ended.order.work)
        said = f"loss {words.loss(loss)}" if loss is not None else ended.outcome.message
        self._say("✓", "green", f"{name}  {said}  {words.clock(ended.seconds)}")

    def _say(self, mark: str, style: str, text: str) -> None:
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(Text(mark, style=style), Text(text))
        self._live.console.print(line)

    def _draw(self, board: Board) -> RenderableType:
        parts: list[RenderableType] = [Text(), self._header(board)]
        trials = [row for row in board.rows if isinstance(row.work, Key)]
        if trials:
            parts.append(self._table(trials))
        return Group(*parts)

    def _header(self, board: Board) -> RenderableType:
        facts = [f"{board.done}/{board.total} trials"]
        failed = board.decision.count(TrialPhase.FAILED)
        if failed:
            facts.append(f"{failed} failed")
        facts.append(words.clock(board.elapsed))
        if board.left is not None:
            facts.append(f"{words.roughly(board.left)} left")
        line = Text.assemble(
            (self._study.sweep.metadata.name, "bold"),
            "  ",
            ("Stopping" if board.stopping else str(board.decision.phase), _colour(board)),
            "  ",
            " · ".join(facts),
            no_wrap=True,
            overflow="ellipsis",
        )
        return Group(
            line, Text(self._second_line(board), style="dim", overflow="ellipsis", no_wrap=True)
        )

    def _second_line(self, board: Board) -> str:
        if board.stopping:
            return "trials save and leave; Ctrl-C again ends them at once"
        if board.decision.phase in {Phase.PREPARING, Phase.FITTING}:
            said = [row.said for row in board.rows if row.said]
            return said[0] if said else board.decision.reason
        if board.decision.phase is Phase.RUNNING:
            return "Ctrl-C saves and stops"
        return board.decision.reason

    def _table(self, rows: list[Row]) -> Table:
        bar = min(60, self._console.width - _OTHERS)
        bars = bar >= _SHORTEST_BAR
        seeds = len(self._study.sweep.spec.training.seeds) > 1
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        for name in ("arm", "size", *(("seed",) * seeds), "phase"):
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        if bars:
            table.add_column("", width=bar, no_wrap=True)
        for name in ("step", "loss", "tokens/s" if bars else "tok/s", "left"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            assert isinstance(row.work, Key)
            progress = row.progress
            cells: list[RenderableType] = [row.work.arm, row.work.size]
            cells += [str(row.work.seed)] * seeds
            cells.append(row.phase if progress else f"starting {words.clock(row.seconds)}")
            if bars:
                share = progress.share if progress else 0.0
                cells.append(ProgressBar(total=1.0, completed=share, width=bar))
            cells += [
                words.steps(progress),
                words.loss(progress.loss if progress else None),
                words.rate(progress.tokens_per_second if progress else None),
                "" if progress is None or progress.eta is None else words.clock(progress.eta),
            ]
            table.add_row(*cells)
        return table


def _colour(board: Board) -> str:
    if board.stopping or board.decision.phase in {Phase.DRAINING, Phase.SUSPENDED}:
        return "yellow"
    return "red" if board.decision.phase is Phase.FAILED else "green"
