"""One run from its first line to its last: lock, storage, display, loop, results, exit status."""

import contextlib
from collections.abc import Iterator

from rich.console import Console

from scalingsweep.store import Patience, Store
from scalingsweep.world import Phase
from scalingsweep_cli import screen
from scalingsweep_cli.local import applied, closing, lock, storage
from scalingsweep_cli.local.interrupt import Interrupt
from scalingsweep_cli.local.journal import Journal
from scalingsweep_cli.local.lines import Lines
from scalingsweep_cli.local.live import Live
from scalingsweep_cli.local.runner import End, Reporter, Runner
from scalingsweep_cli.local.storage import Opened
from scalingsweep_cli.local.study import Study
from scalingsweep_cli.local.watch import Watch

FAILED = 1
"""Exit status of a study that ended without a fit."""


def run(study: Study, *, again: str, plain: bool = False) -> int:
    """Run a study, and say how it went.

    Args:
        study: what to run.
        again: the command that goes on after an interruption.
        plain: lines even on a terminal.

    Returns:
        The exit status: 0 after a fit, 1 without one, 128 and the signal after an interruption.

    Raises:
        SpecError: the user must edit something.
        TransientError: a part outside failed in a way that passes.
    """
    out = screen.console()
    study.folder.make()
    opened = storage.of(study.sweep.spec, study.folder, embedded=study.embedded)
    with Interrupt() as interrupt, lock.hold(study.folder.lock):
        # the journal first: it may refuse, and the server takes a second to start
        with _journal(study) as record, opened:
            with _reporter(study, opened, out, plain=plain) as reporter:
                for text in study.plan.warnings:
                    reporter.note(text)
                runner = Runner(
                    study, record=record, storage=opened, reporter=reporter, interrupt=interrupt
                )
                end = runner.run()
            report = None
            if end.phase is Phase.COMPLETE and end.summary is not None:
                patience = Patience(hurried=lambda: interrupt.number is not None)
                report = closing.fetch(study, _store(opened, patience))
        closing.say(out, study, end, report, again)
        return interrupt.status if end.interrupted else _status(end)


@contextlib.contextmanager
def _journal(study: Study) -> Iterator[Journal]:
    with Journal(study.folder.journal) as record:
        applied.settle(study.folder, study.spec, record)
        yield record


@contextlib.contextmanager
def _reporter(study: Study, opened: Opened, out: Console, *, plain: bool) -> Iterator[Reporter]:
    with Watch(study, lambda: _store(opened)) as watch:
        if plain or not out.is_terminal or out.is_dumb_terminal:
            yield Lines(watch)
        else:
            with Live(study, watch, out) as live:
                yield live


def _store(opened: Opened, patience: Patience | None = None) -> Store:
    return Store(opened.location, keys=opened.keys, patience=patience)


def _status(end: End) -> int:
    return 0 if end.phase is Phase.COMPLETE else FAILED
