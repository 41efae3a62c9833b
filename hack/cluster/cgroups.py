"""One cgroup for the whole cluster, in every hierarchy that the machine has.

kubelet puts its pods below it (`cgroupRoot`), so that what a dead cluster left behind is one named
folder per hierarchy, and nothing outside of it is ever touched. `cluster` makes it and removes it.
Both layouts are known: version 2, and version 1 with a hierarchy per controller.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from hack.cluster.errors import ClusterError

NAME = "scalingsweep"
_EMPTY_SECONDS = 10.0


def create() -> None:
    """Make it everywhere.

    Raises:
        ClusterError: this machine does not let us.
    """
    try:
        for kind, folder in _places():
            folder.mkdir(exist_ok=True)
            if kind == "cgroup2":
                _delegate(folder)
            elif (folder / "cpuset.cpus").exists():
                for name in ("cpuset.cpus", "cpuset.mems"):  # empty in a new one; nothing may run
                    (folder / name).write_text((folder.parent / name).read_text())
    except OSError as error:
        raise ClusterError(f"a node needs cgroups that it may write: {error}") from None


def remove() -> None:
    """Remove it everywhere. Its processes have been killed: their last ones may take a moment."""
    deadline = time.monotonic() + _EMPTY_SECONDS
    for _, folder in _places():
        while folder.exists():
            for path in [*sorted(folder.rglob("*/"), reverse=True), folder]:
                with contextlib.suppress(OSError):
                    path.rmdir()
            if time.monotonic() > deadline:
                raise ClusterError(f"{folder} still has processes: see its cgroup.procs")
            time.sleep(0.02)


def left() -> list[Path]:
    """Where it exists."""
    return [folder for _, folder in _places() if folder.exists()]


def _places() -> Iterator[tuple[str, Path]]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mounted, kind, _ = line.split(maxsplit=3)
        if kind in {"cgroup", "cgroup2"}:
            yield kind, Path(mounted) / NAME


def _delegate(folder: Path) -> None:
    """Version 2: controllers of the root have to be handed down, level by level."""
    for level in (folder.parent, folder):
        controllers = (level / "cgroup.controllers").read_text().split()
        for controller in controllers:
            (level / "cgroup.subtree_control").write_text(f"+{controller}")
