"""What a rank's process is told once, before it trains."""

import ctypes
import os
import sys
import warnings

import torch
from torch.utils import deterministic

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGE = 2**30


def settle(threads: int) -> None:
    """Fix the number of threads and the order of additions, and keep freed memory.

    Equal inputs give equal bits on one machine: a run that was killed and went on is the run that
    was not. It has no switch, for a result would not say whether it had been on.

    By default glibc maps each large tensor anew and the kernel zeroes its pages at the first touch:
    measured on one core, 27k parameters and a vocabulary of 1,024, that is a fifth of a step.
    """
    torch.set_num_threads(threads)
    # read when cuBLAS is first used; without it torch refuses to be deterministic on a GPU
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # filling fresh memory guards against reads of what was never written; ours all are
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # set by its class
    # DCP warns whenever it works for one rank, which is what we ask for
    warnings.filterwarnings("ignore", message="torch.distributed is disabled")
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent from musl
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _LARGE)
