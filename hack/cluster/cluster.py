"""The whole cluster on this machine: `up`, `down`, and what is there.

`__main__` calls it. `up` after a crash of itself first takes down what that left; `down` works
from what is on record and can be repeated.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hack.cluster import (
    binaries,
    cgroups,
    control_plane,
    debian,
    dns,
    kernel,
    network,
    node,
    processes,
    sandbox,
    training_operator,
)
from hack.cluster.certificates import Authority
from hack.cluster.errors import ClusterError
from hack.cluster.kubectl import Kubectl
from hack.cluster.processes import Processes

_PARTS = ("kube-scheduler", "kubelet", "kube-proxy", "pause", "coredns", "training-operator")
_READY_SECONDS = 120.0
BINARIES = (*binaries.API_LAYER, *_PARTS)


class Cluster:
    """The one cluster that a machine can have; everything of it is in one folder."""

    def __init__(self, folder: Path) -> None:
        """Name the folder.

        Args:
            folder: of the cluster's own: records, settings, data, logs.

        Raises:
            ClusterError: it, or the cache of binaries, lies where the sandbox covers the
                machine's files.
        """
        self.folder = folder.resolve()
        for place in (self.folder, binaries.cache()):
            if place.parts[1] in sandbox.COVERED:
                raise ClusterError(f"{place} is hidden inside the cluster: name a home outside")
        self._processes = Processes(self.folder / "processes")
        self.inside = sandbox.Sandbox(Processes(self.folder / "holder"), self.folder)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, good on the whole machine."""
        return self.folder / "kubeconfig"

    def is_up(self) -> bool:
        """Whether all of it lives and the API server answers."""
        alive = [self._processes.alive(name) for name in self._processes.names()]
        if not self._complete.exists() or not alive or not all(alive):
            return False
        return Kubectl(self.kubeconfig).succeeds("get", "--raw=/readyz")

    def up(self) -> None:
        """Start it, unless it is up.

        Raises:
            ClusterError: it does not come up; what there was of it is taken down, the logs stay.
        """
        if os.geteuid() != 0:
            raise ClusterError("a node needs root; `python -m hack.cluster api-up` does not")
        binaries.ensure(BINARIES)
        debian.ensure()
        with self._alone():
            if self.is_up():
                return
            self._remove()
            if cgroups.left():
                raise ClusterError(
                    f"another cluster is up on this machine: end it first ({cgroups.left()[0]})"
                )
            try:
                self._start()
            except BaseException:
                self._end()
                raise

    def strike(self, name: str) -> None:
        """SIGKILL a process of the control plane, and start it again as it was.

        Nothing else looks after them: this is for tests of what goes on meanwhile.

        Raises:
            ClusterError: it does not come back.
        """
        process = self._behind(name)
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        processes.kill(process)
        self._processes.kill(name)
        self._processes.prefix = self.inside.enter
        self._processes.start(name, command)
        self._processes.wait(name, self.is_up, seconds=_READY_SECONDS)

    def _behind(self, name: str) -> processes.Identity:
        """The process itself: on record is `nsenter`, which waits for it outside."""
        outer = self._processes.identity(name)
        assert outer is not None, f"there is no {name}"
        (child,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        found = processes.identify(int(child))
        if found is None:
            raise ClusterError(f"{name} has ended by itself: {self._processes.last_words(name)}")
        return found

    def down(self) -> None:
        """End it, and remove every trace of it."""
        if self.folder.exists():
            with self._alone():
                self._remove()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One `up` or `down` at a time; the lock is on a folder, so no file of it is left."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder.parent, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _remove(self) -> None:
        if self.folder.exists():
            self._end()
            shutil.rmtree(self.folder)

    def _start(self) -> None:
        self.folder.mkdir(parents=True)
        kernel.record(self._kernel_settings)
        cgroups.create()
        self.inside.create()
        network.create(self.inside)
        self._processes.prefix = self.inside.enter
        authority = Authority(self.folder / "certificates")
        address = control_plane.Address(host=network.NODE, port=6443, etcd_port=2379)
        kubectl = control_plane.start(self._processes, authority, self.folder, address)
        node.Node(
            inside=self.inside,
            processes=self._processes,
            authority=authority,
            kubectl=kubectl,
            folder=self.folder,
            server=address.server,
        ).start()
        dns.install(self.inside, kubectl, self.folder)
        training_operator.install(self.inside, kubectl, self.folder)
        dns.wait(kubectl)
        training_operator.wait(kubectl)
        self._complete.touch()

    def _end(self) -> None:
        """End its processes; the kernel takes mounts and rules with them."""
        self.inside.destroy()
        self._processes.kill_all()  # those that led into it
        network.destroy()
        cgroups.remove()
        kernel.restore(self._kernel_settings)

    @property
    def _complete(self) -> Path:
        return self.folder / "complete"

    @property
    def _kernel_settings(self) -> Path:
        return self.folder / "kernel.json"


def state() -> Path:
    """Where the records of what `make` leaves running are."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "scalingsweep"


def the_one() -> Cluster:
    """The cluster of `make cluster-up`."""
    return Cluster(state() / "cluster")
