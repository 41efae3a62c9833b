"""A real S3 server for tests: one `weed` per test process, and stores on prefixes of their own."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scalingsweep.store import Store
from scalingsweep_cli.local import s3server


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """The server of this test process."""

    access: s3server.Access

    def store(self, prefix: str | None = None) -> Store:
        """A store on a prefix that nobody else uses."""
        location = self.access.location(prefix or f"test-{uuid.uuid4().hex}")
        return Store(location, keys=self.access.keys())

    def environment(self) -> dict[str, str]:
        """Variables for a worker's process."""
        return {**os.environ, **self.access.keys()}


@contextmanager
def serve(folder: Path) -> Iterator[S3]:
    """A server that lives as long as the block."""
    with s3server.S3Server(folder) as server, _ends_with_us(server.pid):
        yield S3(access=server.access)


@contextmanager
def _ends_with_us(pid: int | None) -> Iterator[None]:
    """Let a process die with this one, be it by SIGKILL: a shell waits for our end of a pipe."""
    assert pid is not None, "the server is ours"
    command = ["sh", "-c", 'read -r over || kill -9 "$0"', str(pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard:
        yield
        guard.communicate(b"over\n")
