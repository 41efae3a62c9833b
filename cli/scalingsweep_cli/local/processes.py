"""The processes of one attempt: a launcher and all that descends from it.

The launcher leads a session, but torchrun gives each of its workers a session of their own, so
neither a process group nor the tree finds them all once something in between has died. What they
all inherit is the environment: each attempt's outcome path is in it and nobody else's.

A launcher is born waiting behind a gate (a shell that reads one line before it becomes the
command), so that its process id is on record before it does anything: if the runner dies before,
the gate reads the end of its input and leaves.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "SCALINGSWEEP_OUTCOME"
"""The variable by which the processes of an attempt are known."""

_GATE = 'read -r go && exec "$0" "$@" </dev/null'


@dataclass(slots=True, kw_only=True)
class Launched:
    """A launcher that we started."""

    process: subprocess.Popen[bytes]
    born: float
    """Its start time: with it the process id means one process only."""
    mark: str
    """The outcome's path."""

    @property
    def pid(self) -> int:
        """Its process id; also that of its session."""
        return self.process.pid

    def open_gate(self) -> None:
        """Let it go, now that it is on record."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it was killed at the gate: its end says so
            self.process.stdin.write(b"go\n")
            self.process.stdin.close()

    def terminate(self) -> None:
        """Ask it to save and leave; it passes that on to its workers."""
        if self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """End whatever is left of the attempt."""
        if self.process.poll() is None:
            self.process.kill()
        kill_all(self.mark)
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def end(self) -> None:
        """Kill it, and come back when it is gone."""
        self.kill()
        self.process.wait()


def launch(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, mark: Path
) -> Launched:
    """Start a launcher behind the gate.

    Args:
        command: what it becomes.
        environment: all of its environment.
        log: takes its stdout and stderr.
        mark: the attempt's outcome path, put into the environment.

    Raises:
        OSError: no process can be started.
    """
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, *command],
            env={**environment, MARK: str(mark)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the runner, which tells the launcher
            umask=0o077,  # what it writes is for its owner's eyes alone
        )
    return Launched(process=process, born=psutil.Process(process.pid).create_time(), mark=str(mark))


def members(marks: Collection[str]) -> Iterator[psutil.Process]:
    """Living processes that carry one of these marks."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) in marks and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def kill_all(mark: str) -> None:
    """SIGKILL every process of an attempt, and those that it forks meanwhile."""
    quiet = 0
    while quiet < 2:  # in the midst of its exec a process shows no environment: look again
        found = list(members({mark}))
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        quiet = 0 if found else quiet + 1
        time.sleep(0.02)


def end_orphans(marks: Mapping[str, tuple[int, float]], *, grace: float) -> int:
    """End what a dead runner left behind: SIGTERM to the launchers, and SIGKILL after the grace.

    Args:
        marks: of each attempt without an end: process id and start time of its launcher.
        grace: seconds to save in.

    Returns:
        How many processes were found.
    """
    found = list(members(marks))
    launchers = dict(marks.values())
    for process in found:
        with contextlib.suppress(psutil.Error):
            # the boot time, from which a start time is counted, is known to about a second
            if abs(process.create_time() - launchers.get(process.pid, -1e9)) < 2:
                process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        if launchers.keys().isdisjoint(process.pid for process in members(marks)):
            break  # nobody is left who would see to a save
        time.sleep(0.1)
    for mark in marks:
        kill_all(mark)
    return len(found)
