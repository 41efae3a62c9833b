"""How a sweep is run: resources, retries, limits, checkpoints. None of it changes a number."""

from typing import Literal, Self

from pydantic import Field, model_validator

from scalingsweep.api import cluster
from scalingsweep.api.names import Count, Duration, Flops
from scalingsweep.api.wire import Wire


class Resources(Wire):
    """What a trial gets, by size."""

    up_to: Count | None = None
    """Counted N, inclusive; left out: any size."""
    nodes: int = Field(default=1, ge=1, le=1024)
    """Nodes of one trial."""
    gpus_per_node: int = Field(default=0, ge=0, le=64)
    """GPUs on each of them; 0 trains on the CPU. One process a GPU, or one in all."""
    accelerator: str | None = Field(default=None, min_length=1, max_length=64)
    """The device, as `H100`: for GPU-hours and MFU. Unknown names get neither. `CPU`: on a cluster,
    ask for the GPUs and compute on the CPU, one process for each: for trying a cluster out."""
    gpu_resource: str = Field(default="nvidia.com/gpu", max_length=253)
    """The extended resource that a pod asks for."""
    cpu: int = Field(default=1, ge=1, le=1024)
    """CPUs of a pod, and threads of a process that trains on the CPU."""
    memory: str | None = Field(default=None, max_length=32, pattern=r"^[0-9.]+([EPTGMk]i?)?$")
    """Memory of a pod, as Kubernetes writes it."""


class Retry(Wire):
    """What happens after a failure that may pass."""

    limit: int = Field(default=3, ge=0, le=100)
    """Retries of one trial; disruptions are not counted."""
    backoff_seconds: float = Field(default=60, ge=0, le=86_400)
    """Wait before the first retry; it doubles each time, up to an hour."""


class Limits(Wire):
    """Where a sweep stops."""

    gpu_hours: float | None = Field(default=None, gt=0)
    """A trial starts only if what is spent and committed stays within. Suspended time is free."""
    deadline: Duration | None = None
    """For the whole sweep, from its first start; suspended time does not count."""
    start_deadline: Duration = "30m"
    """How long an attempt may wait for its pods to run; on several nodes up to a quarter longer, so
    that two which wait for each other do not give up at one moment."""


class Checkpoints(Wire):
    """How often a run can be resumed from."""

    every_minutes: float = Field(default=10, gt=0, le=1440)
    """Minutes between two resumable checkpoints."""
    keep_last: int = Field(default=2, ge=1, le=100)
    """How many of them are kept. Those before a decay and at a trunk's end always stay."""


class HoldOut(Wire):
    """Observations that a fit does not see and is then judged by."""

    largest: float = Field(gt=0, lt=0.9)
    """This share of the rows: those of the largest compute."""


class Predict(Wire):
    """A question to the fitted law."""

    flops: Flops
    """The best loss for this much compute, C = 6 N D."""


class Exclude(Wire):
    """A trial that the fit leaves out; the report says so."""

    trial: str = Field(min_length=1, max_length=128)
    """`arm/size/seed`, or `arm/size` for all its seeds."""
    reason: str = Field(min_length=1, max_length=256)
    """Why; it is printed."""


class Fit(Wire):
    """What is fitted to the observations."""

    laws: tuple[Literal["chinchilla", "extended"], ...] = Field(
        default=("chinchilla", "extended"),
        min_length=1,
        max_length=2,
        json_schema_extra=cluster.EACH_ONCE,
    )
    """`chinchilla`: E + A/N^α + B/D^β. `extended`: E + A/N^α + B/(D^β N^γ)."""
    bootstrap: int = Field(default=4000, ge=100, le=100_000)
    """Resamples for the intervals."""
    hold_out: HoldOut | None = None
    """Rows kept back to judge the extrapolation."""
    predict: tuple[Predict, ...] = Field(default=(), max_length=16)
    """Compute budgets to predict."""
    identifiability: Literal["Refuse", "Warn"] = "Refuse"
    """What happens to a grid that cannot tell a law's parameters: `Refuse` runs nothing."""
    exclude: tuple[Exclude, ...] = Field(default=(), max_length=64)
    """Trials to leave out."""

    @model_validator(mode="after")
    def _some_law(self) -> Self:
        if not self.laws or len(set(self.laws)) != len(self.laws):
            raise ValueError("laws names chinchilla, extended or both, each once")
        return self
