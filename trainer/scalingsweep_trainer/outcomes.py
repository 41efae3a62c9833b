"""From whatever ended an attempt to the one JSON file that a control plane believes.

`main` puts it around every command; under torchrun every rank writes one of its own, of which the
launcher picks the one that tells why (`earliest`).
"""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.errors import DataError, DiskFull, ScalingSweepError, SpecError, is_full
from scalingsweep_trainer import endings

_ENDINGS: dict[type[endings.Ending], Class] = {
    endings.Diverged: Class.DIVERGED,
    endings.Superseded: Class.SUPERSEDED,
    endings.Preempted: Class.PREEMPTED,
}


def of_error(error: BaseException) -> Outcome:
    """The outcome that an exception stands for. A bug's traceback goes to stderr."""
    if isinstance(error, OSError) and is_full(error):  # which a write says without its file
        error = DiskFull(error.filename or tempfile.gettempdir())
    message = _one_line(str(error)) or type(error).__name__
    if isinstance(error, endings.Stopped):
        return Outcome(klass=Class.PREEMPTED, message=message)
    if isinstance(error, endings.Ending):
        return Outcome(klass=_ENDINGS[type(error)], message=message, step=error.step)
    if isinstance(error, SpecError):
        klass = Class.BAD_DATA if isinstance(error, DataError) else Class.BAD_CONFIGURATION
        return Outcome(klass=klass, message=message, field=_one_line(error.field)[:256])
    if isinstance(error, ScalingSweepError):
        return Outcome(klass=Class.INFRASTRUCTURE, message=message)
    if _is_out_of_device_memory(error):
        return Outcome(klass=Class.OUT_OF_MEMORY, message=message)
    traceback.print_exception(error, file=sys.stderr)
    return Outcome(klass=Class.INFRASTRUCTURE, message=f"{type(error).__name__}: {message}"[:1024])


def when_told(outcome: Outcome) -> Outcome:
    """The outcome of a process that was told to stop: what failed while it left is no fault."""
    if outcome.klass is not Class.INFRASTRUCTURE:
        return outcome
    message = f"stopped; while it left: {outcome.message}"
    return outcome.model_copy(update={"klass": Class.PREEMPTED, "message": message[:1024]})


def write(path: Path, outcome: Outcome) -> None:
    """Write the outcome so that a reader sees all of it or none."""
    data = outcome.to_json().encode()
    if not os.access(path.parent, os.W_OK):
        path.write_bytes(data)  # a termination log is a single mounted file in a read-only folder
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as new:
        new.write(data)
        new.flush()
        os.fsync(new.fileno())
    try:
        Path(new.name).replace(path)
    except OSError:  # a mount point cannot be replaced
        path.write_bytes(data)
        Path(new.name).unlink()


def read(path: Path) -> Outcome | None:
    """The outcome in a file; None where there is none, or a broken one."""
    try:
        return Outcome.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def of_rank(folder: Path, rank: int) -> Path:
    """Where a rank under torchrun leaves its outcome."""
    return folder / f"rank-{rank}.json"


def earliest(folder: Path) -> Outcome | None:
    """Of the ranks' outcomes the one that tells how the attempt ended.

    Done counts when rank 0 says so, or, on a node without it, when all do. Else the earliest
    specific one: what follows a rank's death (broken connections, a preemption by the launcher)
    says less than what it died of.
    """
    said = _by_time(folder)
    rank0 = read(of_rank(folder, 0))
    if rank0 is not None and rank0.klass == Class.DONE:
        return rank0
    if said and all(outcome.klass is Class.DONE for outcome in said):
        return said[0]
    for vague in ((Class.DONE, Class.INFRASTRUCTURE, Class.PREEMPTED), (Class.DONE,)):
        for outcome in said:
            if outcome.klass not in vague:
                return outcome
    return None


def _by_time(folder: Path) -> Sequence[Outcome]:
    files = sorted(folder.glob("rank-*.json"), key=lambda file: file.stat().st_mtime_ns)
    found = (read(file) for file in files)
    return [outcome for outcome in found if outcome is not None]


# What torch says of memory beside its OutOfMemoryError: the CPU's allocator, the driver, cuBLAS
_FULL = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def _is_out_of_device_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # an error of torch's cannot come before torch
    if torch is None or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _FULL)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:1000]
