"""The API layer for integration tests: a real API server for as long as a `with` block lasts.

`tests/support/cluster.py` starts one per test process; `python -m hack.cluster api-up` keeps one
for work by hand.
"""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from hack.cluster import binaries, control_plane, ports
from hack.cluster.certificates import Authority
from hack.cluster.errors import ClusterError
from hack.cluster.kubectl import Kubectl
from hack.cluster.processes import Processes

_STARTS = 3


class Api:
    """etcd, kube-apiserver and kube-controller-manager on free loopback ports.

    No node and no scheduler: pods that controllers create stay pending until a test writes their
    status, as a kubelet would.
    """

    def __init__(self, folder: Path, *, die_with_us: bool = True) -> None:
        """Name the folder; nothing is started yet.

        Args:
            folder: of this layer's own; emptied by start() and removed by stop().
            die_with_us: end it when this thread ends, even by SIGKILL.
        """
        self.folder = folder.resolve()
        self.processes = Processes(self.folder / "processes", die_with_us=die_with_us)
        self._kubectl: Kubectl | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def kubectl(self) -> Kubectl:
        """The administrator's kubectl."""
        assert self._kubectl is not None, "start() comes first"
        return self._kubectl

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it holds all that it needs."""
        return self.kubectl.kubeconfig

    def start(self) -> None:
        """Start it, in about 4 seconds; the binaries are built when they are missing.

        Raises:
            ClusterError: it does not come up.
        """
        binaries.ensure(binaries.API_LAYER)
        for attempt in range(_STARTS):
            try:
                self._start()
            except BaseException as error:
                taken = isinstance(error, ClusterError) and "address already in use" in str(error)
                if taken and attempt + 1 < _STARTS:
                    continue  # another process was quicker between our look at a port and the bind
                self.processes.kill_all()  # the logs stay
                raise
            return

    def stop(self) -> None:
        """End it and remove its folder."""
        if self.folder.exists():
            self.processes.kill_all()
            shutil.rmtree(self.folder)
        self._kubectl = None

    def _start(self) -> None:
        self.stop()
        authority = Authority(self.folder / "certificates")
        port, etcd_port = ports.free(2)
        address = control_plane.Address(host="127.0.0.1", port=port, etcd_port=etcd_port)
        self._kubectl = control_plane.start(self.processes, authority, self.folder, address)
