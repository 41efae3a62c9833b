"""What the operator says of a sweep: the status of a ScalingSweep, for people and for itself.

It holds counters, never lists of trials, and stays under 32 KB at any size; what is said of one
trial stands in its ScalingTrial (`scalingtrial`).
"""

import enum
from typing import Annotated

import pydantic
from pydantic import Field

from scalingsweep.api.outcome import FitSummary
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.wire import Wire


class Phase(enum.StrEnum):
    """Where a sweep stands."""

    PREPARING = "Preparing"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    DRAINING = "Draining"
    """Nothing new starts: a limit was reached; running trials finish."""
    FITTING = "Fitting"
    COMPLETE = "Complete"
    """A fit was written, however partial."""
    FAILED = "Failed"
    """It ended without a fit."""


class ConditionType(enum.StrEnum):
    """What a condition is about."""

    PLANNED = "Planned"
    """The manifest is sound: it has a plan, and prepare found what it names."""
    PROGRESSING = "Progressing"
    """Work runs or is about to."""
    SUSPENDED = "Suspended"
    """`spec.suspend` holds it."""
    BUDGET_EXCEEDED = "BudgetExceeded"
    """A limit keeps trials from starting."""
    FITTED = "Fitted"
    """Laws were fitted to the observations that are there."""
    COMPLETE = "Complete"
    """It ended with a fit, however partial. Excludes Failed."""
    FAILED = "Failed"
    """It ended without a fit. Excludes Complete."""


class Reason(enum.StrEnum):
    """Why a condition is as it is."""

    PLANNED = "Planned"
    """Every rule of the manifest resolves."""
    BAD_MANIFEST = "BadManifest"
    """A field is wrong in a way that the API server could not see; the message names it."""
    BAD_POD_TEMPLATE = "BadPodTemplate"
    """The API server refuses the pods that the templates make."""
    NOT_IDENTIFIABLE = "NotIdentifiable"
    """The grid cannot tell a law's parameters."""
    BAD_CONFIGURATION = "BadConfiguration"
    """Prepare found that what is asked for cannot be."""
    BAD_DATA = "BadData"
    """Prepare found a corpus, tokenizer or checkpoint that is not what it must be."""
    PREPARE_FAILED = "PrepareFailed"
    """Prepare was given up after attempts that failed without the manifest's fault."""
    PREPARING = "Preparing"
    """Prepare looks at corpora, tokenizer and storage."""
    RUNNING = "Running"
    """Trials run."""
    BACKING_OFF = "BackingOff"
    """Failed trials wait to be tried again."""
    UNSCHEDULABLE = "Unschedulable"
    """No node has room for a pod."""
    IMAGE_PULL = "ImagePull"
    """A node cannot fetch the image."""
    CANNOT_START = "CannotStart"
    """A node cannot start a container; a Secret that it names may be missing."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """The namespace's quota leaves no room."""
    REFUSED = "Refused"
    """A policy, a right that is missing or a webhook keeps the API server from taking an object."""
    NAME_TAKEN = "NameTaken"
    """Another's object has the name of one that is to be made; that waits until it is gone."""
    QUEUED = "Queued"
    """Kueue has not admitted the trials yet."""
    NO_TRAINING_OPERATOR = "NoTrainingOperator"
    """The cluster has no PyTorchJob."""
    NO_KUEUE_INTEGRATION = "NoKueueIntegration"
    """queueName is set, and nothing admits PyTorchJobs."""
    DRAINING = "Draining"
    """Running trials finish, nothing new starts."""
    FITTING = "Fitting"
    """The fit runs."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is true."""
    RESUMED = "Resumed"
    """`spec.suspend` is false again."""
    GPU_HOURS = "GpuHours"
    """The next trial would exceed limits.gpuHours."""
    DEADLINE = "Deadline"
    """limits.deadline has passed."""
    MAX_FAILED = "MaxFailed"
    """More trials failed than maxFailedTrialCount."""
    WITHIN_LIMITS = "WithinLimits"
    """No limit holds anything back."""
    FITTED = "Fitted"
    """Every planned observation is in the fit."""
    PARTIAL = "Partial"
    """Some planned observations are missing; the message counts them."""
    NO_OBSERVATIONS = "NoObservations"
    """No trial finished."""
    FIT_FAILED = "FitFailed"
    """The fit itself failed."""
    ENDED = "Ended"
    """The sweep has ended."""


class ConditionStatus(enum.StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Wire):
    """One thing that can be waited for: `kubectl wait --for=condition=Complete`."""

    type: ConditionType
    """What it is about."""
    status: ConditionStatus
    """Whether it holds."""
    reason: Reason
    """Why, in one word."""
    message: str = Field(default="", max_length=1024)
    """Why, in a sentence that names the mend."""
    observed_generation: int = Field(ge=0, le=10**18)
    """Generation of the spec that it was judged by."""
    last_transition_time: pydantic.AwareDatetime
    """When `status` last changed."""


class TrialCounts(Wire):
    """How many trials stand where."""

    planned: int = Field(ge=0, le=10**9)
    """All trials of the plan."""
    pending: int = Field(default=0, ge=0, le=10**9)
    """May start when there is room, or wait for their source or a back-off."""
    running: int = Field(default=0, ge=0, le=10**9)
    """Have an attempt that has not ended, those in a queue included."""
    succeeded: int = Field(default=0, ge=0, le=10**9)
    """Have all their results in S3."""
    failed: int = Field(default=0, ge=0, le=10**9)
    """Are given up."""
    skipped: int = Field(default=0, ge=0, le=10**9)
    """Cannot run, for their source failed."""


class PlanSummary(Wire):
    """What the whole study is."""

    observations: int = Field(ge=0, le=10**9)
    """Losses that the laws are fitted to."""
    flops: float = Field(ge=0)
    """Σ 6 N D over the observations."""
    gpu_hours: float | None = Field(default=None, ge=0)
    """What it is expected to take; left out where an accelerator is unknown."""
    warnings: tuple[Annotated[str, Field(max_length=1024)], ...] = Field(default=(), max_length=8)
    """What a researcher should know before it runs."""


class Usage(Wire):
    """What was used; it never falls, whatever is deleted."""

    gpu_hours: float = Field(default=0, ge=0, le=10**12)
    """GPU-hours of all attempts, those in vain included."""
    listed_gpu_hours: float = Field(default=0, ge=0, le=10**12)
    """Of these, what the ScalingTrials that are there account for: the rest is of deleted ones."""


class SweepStatus(Wire):
    """What the operator says of a sweep."""

    observed_generation: int = Field(default=0, ge=0, le=10**18)
    """Generation of the spec that all below was judged by."""
    phase: Phase | None = None
    """Where it stands."""
    progress: str = Field(default="", max_length=32)
    """Trials that have succeeded, of those planned: 14/66."""
    message: str = Field(default="", max_length=1024)
    """What goes on, in one line."""
    start_time: pydantic.AwareDatetime | None = None
    """When it first started; limits.deadline counts from here."""
    completion_time: pydantic.AwareDatetime | None = None
    """When it ended."""
    suspended_since: pydantic.AwareDatetime | None = None
    """When the rest that it is in began."""
    suspended_seconds: float = Field(default=0, ge=0)
    """Time of earlier rests; limits.deadline does not count it."""
    trials: TrialCounts | None = None
    """How many trials stand where."""
    plan: PlanSummary | None = None
    """What the whole study is."""
    usage: Usage = Usage()
    """What was used."""
    prepared: Prepared | None = None
    """What prepare answered, with every observation since; ids of trials are computed from it."""
    prepared_for: str = Field(default="", max_length=32)
    """Digest of what prepare had looked at in the spec: an edit of it makes prepare look again."""
    fit: FitSummary | None = None
    """The newest fit in short, and where its report lies."""
    fitted: str = Field(default="", max_length=32)
    """Digest of what that fit was made of: other results or another spec make it anew."""
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    """What can be waited for."""
