"""The ScalingTrial: one trial on the cluster. The operator writes it, people read it.

Its spec is the contract handed to the worker. Its status records, before the act that depends on
it, what cannot be observed again: attempts, their classes, the GPU time that they used.
"""

import enum
from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field
from pydantic.fields import FieldInfo

from scalingsweep.api import cluster
from scalingsweep.api.attempt import MOST_HALVINGS, MOST_NUMBER
from scalingsweep.api.outcome import Class
from scalingsweep.api.trial import TrialSpec
from scalingsweep.api.wire import Wire


class TrialPhase(enum.StrEnum):
    """Where a trial stands."""

    PENDING = "Pending"
    """It may start when there is room."""
    WAITING = "Waiting"
    """For its source, or for a back-off to pass."""
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    """Its source failed."""


class TrialAttempt(Wire):
    """One try: one PyTorchJob."""

    number: int = Field(ge=1, le=MOST_NUMBER)
    """1 for the first; the job's name ends in it."""
    start_time: pydantic.AwareDatetime
    """When its job was asked for."""
    job: str = Field(default="", max_length=64)
    """UID of its job; left out until that was seen. An attempt without one has yet to be made."""
    running_time: pydantic.AwareDatetime | None = None
    """When all its pods ran, since it was last queued: a pod made later replaces a lost one."""
    end_time: pydantic.AwareDatetime | None = None
    """When its last pod had gone; left out while there is one."""
    class_: Class | None = Field(default=None, alias="class")
    """How it ended; given as soon as that is known, though its pods may still be leaving."""
    stopped: bool = False
    """Whether it was told to stop, by an edit or a limit: it spends no retry."""
    message: str = Field(default="", max_length=1024)
    """What it said at its end."""
    step: int | None = Field(default=None, ge=0, le=10**18)
    """The step that it had saved when it left."""
    budgets: tuple[Annotated[int, Field(ge=1, le=10**18)], ...] = Field(default=(), max_length=64)
    """Tokens D whose results it said are complete in S3."""
    gpu_seconds: float = Field(default=0, ge=0, le=10**15)
    """GPU time of its pods so far."""
    counted_time: pydantic.AwareDatetime | None = None
    """Until when gpuSeconds counts."""
    halvings: int = Field(default=0, ge=0, le=MOST_HALVINGS)
    """How often the micro-batch was halved for it."""


class TrialProgress(Wire):
    """How far a running trial is, as its rank 0 last told."""

    step: int = Field(ge=0, le=10**18)
    """Optimizer steps done."""
    steps: int = Field(ge=1, le=10**18)
    """Optimizer steps in all, decays included."""
    tokens: str = Field(max_length=32)
    """Tokens done, of all: 1.3B/2B."""
    loss: float | None = None
    """Training loss, nats per token; once the trial has succeeded, the loss at its largest budget
    on its own held-out text."""
    tokens_per_second: float | None = Field(default=None, ge=0)
    """Over all GPUs of the trial."""
    mfu: float | None = Field(default=None, ge=0)
    """Model FLOPs utilisation, 0 to 1; left out where the accelerator is unknown."""
    eta: str | None = Field(default=None, max_length=32)
    """Time that is left, as 3h12m."""


class TrialResult(Wire):
    """The loss at the end of one budget."""

    tokens: int = Field(ge=1, le=10**18)
    """D."""
    loss: float = Field(ge=0)
    """On the held-out text of the arm's own corpus, nats per token."""


class TrialStatus(Wire):
    """What the operator says of a trial."""

    observed_generation: int = Field(default=0, ge=0, le=10**18)
    """Generation of the spec that all below was judged by."""
    phase: TrialPhase | None = None
    """Where it stands."""
    message: str = Field(default="", max_length=1024)
    """Why, in one line."""
    attempts: tuple[TrialAttempt, ...] = Field(default=(), max_length=128)
    """The newest attempts, oldest first."""
    earlier_gpu_seconds: float = Field(default=0, ge=0, le=10**15)
    """GPU time of attempts that are no longer listed."""
    progress: TrialProgress | None = None
    """How far it is."""
    results: tuple[TrialResult, ...] = Field(default=(), max_length=64)
    """Losses of the budgets that are complete."""


_GROWS = ("budgets", "validation")
"""Both follow the sweep: a budget adds a branch, a corpus added later is evaluated too."""


def _stays(name: str, field: FieldInfo) -> str:
    old, new = f"oldSelf.spec.{name}", f"self.spec.{name}"
    if field.is_required():
        return f"{new} == {old}"
    return f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"


_FIELDS = {str(field.alias): field for field in TrialSpec.model_fields.values()}
_FIXED = [name for name in _FIELDS if name not in {*_GROWS, "maxEpochs"}]


class ScalingTrial(Wire):
    """One training run of a sweep: an arm, a size and a seed. The operator makes it and keeps its
    record; deleting a failed one tries it again.
    """

    guards: ClassVar = (
        *(
            cluster.Rule(
                cel=f"oldSelf.spec.{name}.all(old, old in self.spec.{name})",
                message=f"{name} may only be added",
                at=f".spec.{name}",
            )
            for name in _GROWS
        ),
        cluster.Rule(
            cel=" && ".join(_stays(name, _FIELDS[name]) for name in _FIXED),
            message="only budgets, validation and maxEpochs may change: the others make the id",
            at=".spec",
        ),
    )

    api_version: Literal["scalingsweep.dev/v1alpha1"]
    """Version of these fields."""
    kind: Literal["ScalingTrial"]
    """The kind of the resource."""
    spec: TrialSpec
    """What determines the trial's numbers, resolved; its budgets and validation may grow."""
    status: TrialStatus = TrialStatus()
    """Written by the operator."""
