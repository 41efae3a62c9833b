"""How an attempt ended, from the outcome that it left and the way its launcher went.

The outcome is written by a process that holds the user's data: it is bounded, parsed, compared
with what was asked, and never trusted further. `crew` calls `judge` when a launcher is gone.
"""

import contextlib
import os
import signal
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from scalingsweep import verdict
from scalingsweep.api.outcome import MAX_BYTES, Class, Outcome
from scalingsweep.errors import SpecError
from scalingsweep.world import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the control plane knows of an attempt beside its outcome."""

    work: Work
    budgets: tuple[int, ...] = ()
    """Tokens D that were asked for (trials)."""
    stopped: bool = False
    """Whether it was told to stop."""
    memory_kills: int = 0
    """How many processes the kernel has killed for memory, on this machine, since it started."""
    log: Path


def judge(path: Path, status: int, told: Told) -> Outcome:
    """The outcome that counts.

    Args:
        path: where the attempt was to write its outcome.
        status: the launcher's exit status, negative for a signal.
        told: what is known beside.
    """
    try:
        outcome = read(path, told.work, told.budgets)
    except SpecError as error:
        return _infrastructure(f"its outcome cannot be used: {error}", told)
    if outcome is None and told.stopped:
        return Outcome(klass=Class.PREEMPTED, message="ended before it had saved")
    if told.memory_kills and (outcome is None or outcome.klass is Class.INFRASTRUCTURE):
        message = "was killed for the host's memory: run fewer trials at a time, or smaller ones"
        return Outcome(klass=Class.HOST_MEMORY, message=message)
    return outcome or _infrastructure(f"ended {_how(status)} and left no outcome", told)


def read(path: Path, work: Work | None = None, asked: Collection[int] = ()) -> Outcome | None:
    """The outcome in a file; None where there is no file.

    Args:
        path: the file.
        work: what the attempt was made at; None for work that no plan has, as an export.
        asked: tokens D that it was asked for (trials).

    Raises:
        SpecError: it is too long, none of ours, or not one that this attempt can have.
    """
    try:
        # a link or a pipe in its place is not followed, nor waited for
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpecError(str(path), f"cannot be read ({error.strerror})") from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise SpecError(str(path), "is no file")
        data = os.read(file, MAX_BYTES + 1)
    finally:
        os.close(file)
    return verdict.read(data, str(path), work=work, asked=asked)


def memory_kills() -> int:
    """How many processes the kernel has killed for memory since boot; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _infrastructure(message: str, told: Told) -> Outcome:
    return Outcome(klass=Class.INFRASTRUCTURE, message=f"{message[:800]}; see {told.log}"[:1024])


def _how(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-status).name}"
    return f"with exit status {status}"
