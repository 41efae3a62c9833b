"""The attempts that are running: starts them, tells them to stop, and learns how they ended.

Every start and end is in the journal before anything else follows from it.
"""

import contextlib
import dataclasses
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.storage import S3Location
from scalingsweep.world import Attempt, Work
from scalingsweep_cli.local import ending, journal, machine, orders, processes
from scalingsweep_cli.local.orders import Order
from scalingsweep_cli.local.storage import Opened
from scalingsweep_cli.local.study import Study


@dataclass(slots=True, kw_only=True)
class Running:
    """One attempt in progress."""

    order: Order
    entry: journal.Entry
    launched: processes.Launched
    gpus: tuple[machine.Gpu, ...]
    port: int
    memory_kills: int
    """The kernel's counter when it started."""
    location: S3Location
    """The storage that it was told."""
    kill_at: float | None = None
    """When it is killed, on the monotonic clock; None unless it was told to stop."""

    @property
    def work(self) -> Work:
        """What it is an attempt at."""
        return self.order.work


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One attempt that is over."""

    order: Order
    number: int
    outcome: Outcome
    seconds: float


class Crew:
    """All running attempts of one runner."""

    def __init__(
        self, study: Study, record: journal.Journal, storage: Opened, now: Callable[[], float]
    ) -> None:
        self.running: dict[Work, Running] = {}
        self._study = study
        self._journal = record
        self._storage = storage
        self._room = machine.Room(study.gpus)
        self._now = now

    def start(self, order: Order) -> Running | None:
        """Begin an attempt; None while its GPUs are taken.

        Raises:
            TransientError: the journal cannot be written.
        """
        gpus = self._room.take(order.gpus)
        if gpus is None:
            return None
        work, folder = order.work, self._study.folder
        number, name = self._journal.next_number(work), journal.name(work)
        outcome = folder.outcome(name, number)
        outcome.unlink(missing_ok=True)
        port = _free_port()
        attempt = orders.attempt(
            order,
            self._study,
            number=number,
            location=self._storage.location,
            gpus=gpus,
            port=port,
            yields=self._journal.last_class(work) is Class.SUPERSEDED,
        )
        scratch = folder.scratch(name, number)
        memory_kills = ending.memory_kills()
        try:
            scratch.mkdir(exist_ok=True, mode=0o700)
            launched = processes.launch(
                [*self._study.worker, order.command],
                environment=orders.environment(
                    order, attempt, keys=self._storage.keys, gpus=gpus, scratch=scratch
                ),
                log=folder.log(name, number),
                mark=outcome,
            )
        except OSError as error:
            self._room.give_back(gpus)
            self._stillborn(order, f"cannot be started ({error.strerror})")
            return None
        try:
            entry = self._journal.started(
                work,
                now=self._now(),
                pid=launched.pid,
                born=launched.born,
                gpus=len(gpus),
                fitted=order.fitted,
            )
        except BaseException:
            launched.end()
            raise
        launched.open_gate()
        self.running[work] = Running(
            order=order,
            entry=entry,
            launched=launched,
            gpus=gpus,
            port=port,
            memory_kills=memory_kills,
            location=self._storage.location,
        )
        return self.running[work]

    def stop(self, work: Work) -> None:
        """Tell a running attempt to save and leave; told twice, it changes nothing."""
        running = self.running.get(work)
        if running is not None and running.kill_at is None:
            running.kill_at = time.monotonic() + self._study.grace
            running.launched.terminate()

    def stop_all(self) -> None:
        """Tell everything to save and leave."""
        for work in self.running:
            self.stop(work)

    def move(self) -> None:
        """Stop what works with a storage that has moved: it would wait for the old one."""
        for work, running in self.running.items():
            if running.location != self._storage.location:
                self.stop(work)

    def kill_all(self) -> None:
        """End everything at once."""
        for running in self.running.values():
            running.kill_at = time.monotonic()
            running.launched.kill()

    def abandon(self) -> None:
        """End everything at once and record nothing: the next run finds it open."""
        for running in self.running.values():
            running.launched.end()
        self.running.clear()

    def reap(self) -> list[Ended]:
        """What has ended since; what would not leave in time is killed."""
        ended = []
        for work, running in list(self.running.items()):
            if running.kill_at is not None and time.monotonic() >= running.kill_at:
                running.launched.kill()
            status = running.launched.process.poll()
            if status is not None:
                ended.append(self._close(running, status))
                del self.running[work]
        return ended

    def observed(self) -> dict[Work, tuple[Attempt, ...]]:
        """The attempts of this run, oldest first, as `decide` wants them."""
        attempts = self._journal.of_this_run()
        for work, running in self.running.items():
            *ended, last = attempts[work]
            stopping = running.kill_at is not None
            attempts[work] = (*ended, dataclasses.replace(last, stopping=stopping))
        return attempts

    def _close(self, running: Running, status: int) -> Ended:
        order, entry = running.order, running.entry
        running.launched.kill()  # whatever outlived its launcher
        folder = self._study.folder
        told = ending.Told(
            work=order.work,
            budgets=order.budgets,
            stopped=running.kill_at is not None,
            memory_kills=ending.memory_kills() - running.memory_kills,
            log=folder.log(entry.work, entry.number),
        )
        outcome = ending.judge(folder.outcome(entry.work, entry.number), status, told)
        shutil.rmtree(folder.scratch(entry.work, entry.number), ignore_errors=True)
        now = self._now()
        self._journal.ended(
            entry,
            now=now,
            klass=outcome.klass,
            message=outcome.message,
            budgets=outcome.budgets,
            step=outcome.step,
        )
        self._room.give_back(running.gpus)
        return Ended(
            order=order,
            number=entry.number,
            outcome=outcome,
            seconds=now - entry.attempt.started,
        )

    def _stillborn(self, order: Order, message: str) -> None:
        now = self._now()
        entry = self._journal.started(order.work, now=now, pid=0, born=0.0, fitted=order.fitted)
        self._journal.ended(entry, now=now, klass=Class.INFRASTRUCTURE, message=message)


def settle(study: Study, record: journal.Journal, now: Callable[[], float]) -> int:
    """End what a runner that died has left, and write down how its attempts ended.

    Returns:
        How many processes were ended.
    """
    folder = study.folder
    left = record.open_entries()
    marks = {
        str(folder.outcome(entry.work, entry.number)): (entry.pid, entry.born) for entry in left
    }
    found = processes.end_orphans(marks, grace=study.grace) if marks else 0
    shutil.rmtree(folder.scratches, ignore_errors=True)
    folder.scratches.mkdir(mode=0o700)
    for entry in left:
        log = folder.log(entry.work, entry.number)
        end = now()
        with contextlib.suppress(OSError):
            if not found:  # it was gone before we looked: its last words tell about when
                end = min(end, max(entry.attempt.started, log.stat().st_mtime))
        told = ending.Told(work=journal.work_of(entry), stopped=True, log=log)
        outcome = ending.judge(folder.outcome(entry.work, entry.number), 0, told)
        record.ended(
            entry,
            now=end,
            klass=outcome.klass,
            message=outcome.message,
            budgets=outcome.budgets,
            step=outcome.step,
        )
    return found


def _free_port() -> int:
    """A loopback port that is free now; where another takes it first, only the display lacks."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
