"""What one attempt at the work is told beside the work itself; none of it changes the numbers."""

from typing import Literal

from pydantic import Field

from scalingsweep.api.storage import S3Location
from scalingsweep.api.wire import Wire

MOST_NUMBER = 99_999
"""Of an attempt at one piece of work; it ends the names of its jobs, and those of pods and Services
have 63 characters at most."""
MOST_HALVINGS = 32
"""Of a micro-batch: further ones would change nothing, no batch has so many sequences."""


class Attempt(Wire):
    """Surroundings of one attempt: one PyTorchJob, or one local process group."""

    sweep: str = Field(max_length=63)
    """Name of the sweep: where observations and report go."""
    namespace: str = Field(default="local", max_length=63)
    """Its namespace; `local` on one machine."""
    number: int = Field(default=1, ge=1, le=MOST_NUMBER)
    """1 for the first attempt at this work."""
    yields: bool = False
    """Whether another attempt that is alive goes first: set for the one after a superseded one, or
    two sweeps over the same grid would end each other's attempts for ever."""
    storage: S3Location
    """Where everything is kept."""
    base: str = "."
    """Folder that relative corpus addresses start from."""
    cache: str | None = None
    """Folder for downloaded shards, shared between attempts; a temporary one when left out."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What computes."""
    processes: int = Field(default=1, ge=1)
    """Processes on this node: one per GPU."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each process."""
    accelerator: str | None = None
    """The device's name, for MFU; without it none is reported."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Most sequences in one forward pass of one rank, whose share is cut in equal parts; left out,
    as many as have their logits in a quarter of a gigabyte (2 GB on a GPU)."""
    halvings: int = Field(default=0, ge=0, le=MOST_HALVINGS)
    """How often the micro-batch is halved (and the accumulation doubled), after attempts that ran
    out of device memory."""
    checkpoint_minutes: float = Field(default=10, gt=0)
    """Minutes between two resumable checkpoints."""
    keep_last: int = Field(default=2, ge=1)
    """Resumable checkpoints kept; those before a decay, of the trunk's end and of decayed models
    are kept always."""
    grace_seconds: float = Field(default=30, gt=0)
    """Time from SIGTERM to SIGKILL."""
    stall_seconds: float = Field(default=900, gt=0)
    """Longest time that a trial may go without a step, a pass of an evaluation or a look at what
    to do next: beyond it a rank is taken for lost, and the attempt ends as Infrastructure."""
    port: int = Field(default=0, ge=0, le=65_535)
    """Where rank 0 serves /metrics and /progress on loopback or the pod's address; 0: nowhere."""
    host: str = "127.0.0.1"
    """Address that the port is bound to."""
