"""What this machine has to compute with, and which trial gets what of it.

The manifest's `resources` are the cluster's. Here a trial that asks for GPUs gets as many as one
of its nodes would have, at most those that there are; without any it trains on the CPU.
"""

import os
import re
import subprocess
from dataclasses import dataclass

from scalingsweep.api.running import Resources
from scalingsweep.api.sweep import SweepSpec

_LINE = re.compile(r"GPU (\d+): (.+?) \(UUID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU."""

    token: str
    """What CUDA_VISIBLE_DEVICES calls it."""
    model: str | None
    """What `nvidia-smi` calls it, for MFU; None where CUDA_VISIBLE_DEVICES hides which it is."""


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that a process started here would see."""
    try:
        listing = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return visible(listing, os.environ.get("CUDA_VISIBLE_DEVICES"))


def visible(listing: str, mask: str | None) -> tuple[Gpu, ...]:
    """The GPUs of a listing that a mask (CUDA_VISIBLE_DEVICES, None if unset) leaves."""
    models = dict(_LINE.findall(listing))
    tokens = list(models) if mask is None else [t.strip() for t in mask.split(",") if t.strip()]
    if not models or "-1" in tokens:
        return ()
    return tuple(Gpu(token=token, model=models.get(token)) for token in tokens)


def localised(spec: SweepSpec, available: tuple[Gpu, ...]) -> SweepSpec:
    """The spec with what this machine gives for `resources`; no number or id depends on them."""
    model = available[0].model if available else None

    def local(asked: Resources) -> Resources:
        count = min(asked.gpus_per_node, len(available))
        return asked.model_copy(
            update={"nodes": 1, "gpus_per_node": count, "accelerator": model if count else None}
        )

    return spec.model_copy(update={"resources": tuple(map(local, spec.resources))})


class Room:
    """GPUs that no running trial holds."""

    def __init__(self, available: tuple[Gpu, ...]) -> None:
        self._free = list(available)

    def take(self, count: int) -> tuple[Gpu, ...] | None:
        """That many GPUs of one's own, or None while there are too few."""
        if count > len(self._free):
            return None
        taken, self._free = self._free[:count], self._free[count:]
        return tuple(taken)

    def give_back(self, taken: tuple[Gpu, ...]) -> None:
        """They are free again."""
        self._free.extend(taken)
