"""Long-lived processes that a later command must find again, and end, and nobody else's.

`control_plane` and `sandbox` start them; `down`, in another process or after a crash, ends them.
A process is born waiting behind a gate (a shell that reads one line before it becomes the command),
so that its id and start time are on disk before it does anything: whoever starts it may be killed
at any instruction and leaves nothing that is not on record. A process id alone means nothing once
it is recycled; with the start time it means one process.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hack.cluster.errors import ClusterError

_GATE = ("/bin/sh", "-c", 'read -r go && exec "$0" "$@" </dev/null')
_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes a process itself."""

    pid: int
    born: int
    """Start time in clock ticks since boot."""
    boot: str
    """Which boot: ticks begin anew with each."""


class Processes:
    """Processes whose records and logs are kept in one folder, each under a name of its own."""

    def __init__(self, folder: Path, *, die_with_us: bool = False) -> None:
        """Name the folder; nothing is started yet.

        Args:
            folder: keeps `<name>.json` and `<name>.log`; made when it is not there.
            die_with_us: the kernel kills them when the thread that started them is gone, however
                that went: for tests.
        """
        self.folder = folder
        self.prefix: Sequence[str] = ()
        """Put before every command that is started from now on, to start it inside of something."""
        self._mortal = ("setpriv", "--pdeathsig", "KILL", "--") if die_with_us else ()
        self._ours: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        """Start a process, on record before it runs; its output goes to its log."""
        assert not self.alive(name), f"{name} is already running"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(
                [*self._mortal, *_GATE, *self.prefix, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for whoever starts them
            )
        self._ours[name] = process
        identity = identify(process.pid)
        assert identity is not None, "a child that nobody waited for stays known"
        draft = self._record(name).with_suffix(".part")
        draft.write_text(json.dumps(asdict(identity)))
        draft.replace(self._record(name))
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # killed at the gate: whoever waits will see it
            process.stdin.write(b"go\n")
            process.stdin.close()

    def wait(self, name: str, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until a process is ready.

        Raises:
            ClusterError: it ended, or took too long; the message has the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive(name):
                raise ClusterError(f"{name} ended: {self.last_words(name)}")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{name} is not ready after {seconds:.0f} s: {self.last_words(name)}"
                )
            time.sleep(0.1)

    def alive(self, name: str) -> bool:
        """Whether the process on record lives."""
        if name in self._ours:
            self._ours[name].poll()  # our own dead child stays in the table until it is asked for
        recorded = self.identity(name)
        return recorded is not None and identify(recorded.pid) == recorded

    def identity(self, name: str) -> Identity | None:
        """Who is on record under this name."""
        try:
            return Identity(**json.loads(self._record(name).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def names(self) -> list[str]:
        """Everything on record."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def kill(self, name: str) -> None:
        """End a process and forget it. There is nothing in a disposable cluster to be saved."""
        recorded = self.identity(name)
        if recorded is not None:
            kill(recorded)
        if name in self._ours:
            self._ours.pop(name).wait()
        self._record(name).unlink(missing_ok=True)

    def kill_all(self) -> None:
        """End everything on record."""
        for name in self.names():
            self.kill(name)

    def log(self, name: str) -> Path:
        """What a process said."""
        return self.folder / f"{name}.log"

    def last_words(self, name: str) -> str:
        """The end of its log, on one line."""
        text = self.log(name).read_text(errors="replace") if self.log(name).exists() else ""
        return f"{' '.join(text.split())[-600:]} (all of it: {self.log(name)})"

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def identify(pid: int) -> Identity | None:
    """Who a process id means just now; None for nobody, or for one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    state, born = fields[0], int(fields[19])  # man 5 proc: fields 3 and 22
    return None if state in {"Z", "X"} else Identity(pid=pid, born=born, boot=boot)


def kill(identity: Identity) -> None:
    """SIGKILL this very process, and wait until it is gone.

    Raises:
        ClusterError: it does not end.
    """
    try:
        handle = os.pidfd_open(identity.pid)  # from here on the id cannot come to mean another
    except ProcessLookupError:
        return
    try:
        if identify(identity.pid) != identity:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not select.select([handle], [], [], _END_SECONDS)[0]:
            raise ClusterError(f"process {identity.pid} does not end: see what it hangs on")
    finally:
        os.close(handle)
