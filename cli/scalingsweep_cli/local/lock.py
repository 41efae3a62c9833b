"""One runner a data folder: two would start the same trials twice. `run` holds it while it works.

The kernel frees the lock when its holder dies, however it dies.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from scalingsweep.errors import DiskFull, SpecError, is_full


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock for the block.

    Raises:
        SpecError: another runner holds it, or the folder cannot be written.
        DiskFull: there is no room for it.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode(errors="replace").strip()
            raise SpecError(
                str(path.parent),
                f"another `scalingsweep run` (process {holder or 'unknown'}) is at work here: "
                "wait for it, or stop it with Ctrl-C",
            ) from None
        try:
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        except OSError as error:
            raise _unwritable(path, error) from None
        yield
    finally:
        os.close(file)


def _unwritable(path: Path, error: OSError) -> DiskFull | SpecError:
    if is_full(error):
        return DiskFull(path)
    return SpecError(str(path), f"cannot be written ({error.strerror})")
