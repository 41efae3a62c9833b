"""What an attempt says of itself at its end; the only thing that a control plane believes of it."""

import enum
from typing import Annotated, Any

from pydantic import Field

from scalingsweep.api.names import Name
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.wire import Wire

MAX_BYTES = 4096
"""Kubernetes cuts a termination message here."""


class Class(enum.StrEnum):
    """How an attempt ended. The order is that of exit codes, not of weight."""

    DONE = "Done"
    """Everything asked is in S3."""
    INFRASTRUCTURE = "Infrastructure"
    """Network, storage, a lost process: nothing of the user's making; retried."""
    BAD_CONFIGURATION = "BadConfiguration"
    """The manifest asks for what cannot be; retrying is in vain."""
    BAD_DATA = "BadData"
    """A corpus or a checkpoint is not what it must be; retrying is in vain."""
    DIVERGED = "Diverged"
    """The loss or the gradient norm is no longer a number; the same would happen again."""
    OUT_OF_MEMORY = "OutOfMemory"
    """The device's memory: retried with half the micro-batch."""
    SUPERSEDED = "Superseded"
    """A newer attempt holds the claim; this one left."""
    PREEMPTED = "Preempted"
    """Told to stop; saved, and left."""
    HOST_MEMORY = "HostMemory"
    """Killed for the host's memory; retried once. Never said by the worker, only seen."""


EXIT_CODES: dict[Class, int] = {
    Class.DONE: 0,
    Class.INFRASTRUCTURE: 1,
    Class.BAD_CONFIGURATION: 2,
    Class.BAD_DATA: 3,
    Class.DIVERGED: 4,
    Class.OUT_OF_MEMORY: 5,
    Class.SUPERSEDED: 6,
    Class.PREEMPTED: 7,
    Class.HOST_MEMORY: 137,
}
"""Exit status of the worker for each class."""


class FittedParameter(Wire):
    """One number of a fitted law."""

    name: str = Field(max_length=64)
    """As alpha, or B[scratch] in a joint fit."""
    value: float | None
    """The estimate."""
    low: float | None = None
    """Where its interval begins; left out where there is none."""
    high: float | None = None
    """Where its interval ends."""


class FittedLaw(Wire):
    """One fitted law, short enough for a status."""

    name: str = Field(max_length=32)
    """chinchilla or extended."""
    arms: tuple[Name, ...] = Field(max_length=16)
    """The arms that it was fitted to, jointly."""
    parameters: tuple[FittedParameter, ...] = Field(max_length=64)
    """Its numbers."""


class FitSummary(Wire):
    """What a fit put into S3, in short."""

    observations: int = Field(ge=0, le=10**9)
    """Rows that were fitted."""
    missing: int = Field(ge=0, le=10**9)
    """Planned observations that are not there."""
    laws: tuple[FittedLaw, ...] = Field(default=(), max_length=32)
    """Fitted parameters with their intervals."""
    report: str = Field(max_length=1024)
    """Key of the report under the prefix."""
    warnings: tuple[Annotated[str, Field(max_length=1024)], ...] = Field(default=(), max_length=8)
    """The first warnings, cut short; all are in the report."""


class Outcome(Wire):
    """The end of one attempt, at most 4,096 bytes of JSON."""

    klass: Class = Field(alias="class")
    """How it ended."""
    message: str = Field(default="", max_length=1024)
    """One line for people: what happened and the mend."""
    field: str = Field(default="", max_length=256)
    """What the user must edit, for bad configuration and data."""
    step: int | None = Field(default=None, ge=0, le=10**12)
    """The step it ended at (trials)."""
    generation: int | None = Field(default=None, ge=1, le=10**9)
    """The claim it worked under (trials)."""
    budgets: tuple[Annotated[int, Field(ge=1, le=10**18)], ...] = Field(default=(), max_length=64)
    """Tokens D whose results are complete in S3 (trials)."""
    losses: tuple[Annotated[float, Field(ge=0)], ...] = Field(default=(), max_length=64)
    """For people only: the loss of each of these on the arm's own held-out text, rounded."""
    prepared: Prepared | None = None
    """The answer of prepare."""
    fit: FitSummary | None = None
    """The answer of fit."""

    def to_json(self) -> str:
        """The outcome as compact JSON.

        Raises:
            ValueError: when it is over 4,096 bytes: the fields are bounded so that this is our bug.
        """
        import json

        value: dict[str, Any] = self.to_wire()
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if len(text.encode()) > MAX_BYTES:
            raise ValueError(f"an outcome of {len(text.encode())} bytes is over {MAX_BYTES}")
        return text
