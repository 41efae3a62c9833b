"""The cluster's own world: mount, process and network namespaces, held by one process.

Everything of the cluster runs in here, started by `processes` behind `Sandbox.enter`. When the
holder ends, the kernel ends every process inside, and with the last of them goes every mount,
interface and firewall rule, so that tear-down depends on nothing that runs inside being well.
The folders that containerd, kubelet and CNI plugins insist on (/run/containerd, /var/lib/cni,
/var/log/containers, …) are the cluster's own there, too: /run and /var are covered.
"""

import contextlib
import subprocess
from pathlib import Path

from hack.cluster import binaries, processes
from hack.cluster.errors import ClusterError

_HOLDER = "sandbox"
COVERED = ("run", "var")


class Sandbox:
    """The namespaces; `enter` is what a command inside is prefixed with."""

    def __init__(self, holders: processes.Processes, folder: Path) -> None:
        """Name them; nothing is made yet.

        Args:
            holders: keeps the holder's record.
            folder: takes what is written to the covered folders. It may not lie in one of them.
        """
        self._holders = holders
        self._folder = folder

    def create(self) -> None:
        """Make the namespaces and cover the folders.

        Raises:
            ClusterError: the kernel refuses.
        """
        holder: list[str | Path] = [
            *("unshare", "--mount", "--propagation=private", "--net", "--pid"),
            *("--fork", "--kill-child", "--mount-proc"),
            binaries.path("pause"),
        ]
        self._holders.start(_HOLDER, holder)
        self._holders.wait(_HOLDER, lambda: self._first_process() is not None, seconds=10)
        for name in COVERED:
            place = self._folder / name
            place.mkdir()
            self.run("mount", "--bind", str(place), f"/{name}")
        # pods may see mounts that are made later; still nothing leaves this namespace
        self.run("mount", "--make-rshared", "/")

    @property
    def enter(self) -> tuple[str, ...]:
        """The prefix that runs a command inside."""
        return ("nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--")

    @property
    def pid(self) -> int:
        """The holder, as the machine sees it."""
        first = self._first_process()
        if first is None:
            raise ClusterError("the cluster's sandbox is gone: make cluster-down, then cluster-up")
        return first

    def run(self, *command: str, given: str | Path = "") -> str:
        """Run a command inside, and answer what it printed.

        Args:
            command: what is run.
            given: its input, or a file of this machine with it, which it may not see itself.

        Raises:
            ClusterError: it failed.
        """
        return run(*self.enter, *command, given=given)

    def succeeds(self, *command: str) -> bool:
        """Whether a short command succeeds inside."""
        done = subprocess.run([*self.enter, *command], capture_output=True, check=False)
        return done.returncode == 0

    def destroy(self) -> None:
        """End everything inside, and wait until it is gone.

        Raises:
            ClusterError: something inside does not end.
        """
        first = self._first_process()
        if first is not None:
            identity = processes.identify(first)
            if identity is not None:
                processes.kill(identity)  # the kernel holds it until the others are gone
        self._holders.kill(_HOLDER)

    def _first_process(self) -> int | None:
        """The only child of `unshare`, once that has become `pause`."""
        holder = self._holders.identity(_HOLDER)
        if holder is None or not self._holders.alive(_HOLDER):
            return None
        with contextlib.suppress(OSError):  # it ends just now
            children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
            for child in children:
                if Path(f"/proc/{child}/comm").read_text().strip() == "pause":
                    return int(child)
        return None


def run(*command: str, given: str | Path = "") -> str:
    """Run a command outside, and answer what it printed; the rest is as inside.

    Raises:
        ClusterError: it failed; the message is what it said.
    """
    try:
        if isinstance(given, Path):
            with given.open("rb") as file:
                done = subprocess.run(command, stdin=file, capture_output=True, check=False)
        else:
            done = subprocess.run(command, input=given.encode(), capture_output=True, check=False)
    except FileNotFoundError:
        raise ClusterError(f"{command[0]} is not installed") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ClusterError(f"{' '.join(command)}: {said}")
    return done.stdout.decode(errors="replace")
