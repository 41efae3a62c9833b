"""The processes that train one model together, seen from one of them.

One rank needs no process group at all: every verb here is then the identity. From two ranks up
there are two groups for talk on the CPU, so that a checkpoint's thread never meets the loop's.
"""

import datetime as dt
import os
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

T = TypeVar("T")

_SLACK = 60.0
"""Seconds that a collective waits beyond the attempt's patience: `pulse` says first who is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process's place among all that train the trial."""

    rank: int = 0
    size: int = 1
    device: torch.device
    mesh: DeviceMesh | None = None
    """All ranks in one line, on the computing device; None on one rank."""
    host_mesh: DeviceMesh | None = None
    """The same ranks on the CPU: where snapshots live."""
    control: dist.ProcessGroup | None = None
    """gloo group of the training loop."""
    background: dist.ProcessGroup | None = None
    """gloo group of the checkpoint thread."""
    store: Store | None = None
    """Where `pulse` tells and hears of beats; None on one rank."""

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone talks to S3 but for shards of checkpoints."""
        return self.rank == 0

    def agree(self, *flags: bool) -> list[bool]:
        """Each flag, true where it is so on any rank. A collective."""
        if self.control is None:
            return list(flags)
        values = torch.tensor([int(flag) for flag in flags])
        dist.all_reduce(values, op=dist.ReduceOp.MAX, group=self.control)
        return [bool(value) for value in values.tolist()]

    def total(self, *values: float) -> list[float]:
        """Each value summed over ranks in float64. A collective."""
        if self.control is None:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums, group=self.control)
        return sums.tolist()

    def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor on the device, summed over ranks in place, without waiting for it."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def meet(self) -> None:
        """Wait for all ranks. A collective."""
        if self.control is not None:
            dist.barrier(self.control)

    def from_first(self, value: T) -> T:
        """Rank 0's value. A collective."""
        if self.control is None:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, group=self.control)
        return values[0]


def alone(device: Literal["cpu", "cuda"]) -> Ranks:
    """One process, no process group."""
    return Ranks(device=torch.device(device))


def join(device: Literal["cpu", "cuda"], patience: float) -> Ranks:
    """Meet the other ranks at the address that torchrun put into the environment.

    Args:
        device: what computes.
        patience: seconds without progress after which a rank is lost.
    """
    local = torch.device(device, int(os.environ["LOCAL_RANK"])) if device == "cuda" else None
    if local is not None:
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "cpu:gloo"
    timeout = dt.timedelta(seconds=patience + _SLACK)
    store, rank, size = next(iter(rendezvous("env://", timeout=timeout)))
    dist.init_process_group(
        backend,
        store=PrefixStore("group", store),
        rank=rank,
        world_size=size,
        timeout=timeout,
        device_id=local,
    )
    host = init_device_mesh("cpu", (size,))
    return Ranks(
        rank=rank,
        size=size,
        device=local or torch.device("cpu"),
        mesh=host if device == "cpu" else init_device_mesh("cuda", (size,)),
        host_mesh=host,
        control=_gloo(timeout),
        background=_gloo(timeout),
        # a connection of its own: no collective that waits in the store is in its way
        store=PrefixStore("pulse", store.clone()),
    )


def _gloo(timeout: dt.timedelta) -> dist.ProcessGroup:
    group = dist.new_group(backend="gloo", timeout=timeout)
    assert isinstance(group, dist.ProcessGroup), "every rank is a member"
    return group
