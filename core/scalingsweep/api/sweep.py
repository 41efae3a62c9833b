"""The ScalingSweep: one manifest, one study."""

from typing import Any, ClassVar, Literal

import pydantic
from pydantic import Field

from scalingsweep.api import across, cluster
from scalingsweep.api.arms import Arm, Budgets
from scalingsweep.api.corpora import Corpus, Tokenizer
from scalingsweep.api.model import Model
from scalingsweep.api.running import Checkpoints, Fit, Limits, Resources, Retry
from scalingsweep.api.storage import Storage
from scalingsweep.api.training import Training
from scalingsweep.api.wire import Wire

API_VERSION = "scalingsweep.dev/v1alpha1"


class TrialTemplate(Wire):
    """What trials get on the cluster beside the sweep's own template."""

    image: str | None = Field(default=None, min_length=1, max_length=512)
    """The worker's image; the chart's when left out."""
    pod_template: dict[str, Any] = Field(default_factory=dict)
    """Merged over the sweep's podTemplate, for the pods of trials alone."""


class SweepSpec(Wire):
    """A study: sizes × arms × budgets × seeds."""

    guards: ClassVar = (*across.RULES, *cluster.fixed("tokenizer"))

    corpora: tuple[Corpus, ...] = Field(
        min_length=1, max_length=16, json_schema_extra=cluster.BY_NAME
    )
    """The text."""
    tokenizer: Tokenizer
    """The tokenizer, the same for every arm."""
    model: Model
    """The models."""
    arms: tuple[Arm, ...] = Field(min_length=1, max_length=16, json_schema_extra=cluster.BY_NAME)
    """The ways of training that are compared."""
    budgets: Budgets
    """How long every arm without budgets of its own trains."""
    training: Training = Training()
    """How every trial is trained."""
    resources: tuple[Resources, ...] = Field(default=(Resources(),), min_length=1, max_length=32)
    """What trials get: the first rule whose upTo is not below N."""
    pod_template: dict[str, Any] = Field(default_factory=dict)
    """On the cluster: merged into every pod of the sweep. The memory of trials is that of
    `resources`, where a rule has any; trialTemplate may change it."""
    trial_template: TrialTemplate = TrialTemplate()
    """On the cluster: merged over podTemplate for trials."""
    storage: Storage | None = None
    """Where everything is kept; left out: an embedded server (one machine only)."""
    parallel_trial_count: int = Field(default=1, ge=1, le=1000)
    """Trials at one time, those in a queue included."""
    max_failed_trial_count: int = Field(default=3, ge=0, le=10_000)
    """More failed trials than this end the sweep, in the way of onMaxFailed."""
    on_max_failed: Literal["Drain", "Stop"] = "Drain"
    """`Drain`: running trials finish, and what there is is fitted. `Stop`: they are stopped."""
    retry: Retry = Retry()
    """What happens after a failure that may pass."""
    limits: Limits = Limits()
    """Where the sweep stops."""
    checkpoints: Checkpoints = Checkpoints()
    """How often a run can be resumed from."""
    queue_name: str | None = Field(default=None, max_length=63)
    """Kueue's local queue."""
    suspend: bool = False
    """Whether the sweep rests: running trials save and stop, nothing new starts."""
    ttl_seconds_after_finished: int | None = Field(default=None, ge=0)
    """On the cluster: when its trials and jobs are deleted after the end; never the sweep."""
    fit: Fit = Fit()
    """What is fitted."""


class Metadata(Wire):
    """Name and namespace; all else that Kubernetes keeps there is passed over."""

    model_config = pydantic.ConfigDict(extra="ignore")

    name: str = Field(max_length=35, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    """At most 35 characters: small letters, digits and hyphens, a letter first."""
    namespace: str = Field(
        default="local", max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    )
    """On one machine only a part of the results' address."""


class ScalingSweep(Wire):
    """A scaling-law study: models of several sizes, trained in several ways, and the laws fitted to
    their losses.
    """

    guards: ClassVar = (across.NAME,)

    api_version: Literal["scalingsweep.dev/v1alpha1"]
    """Version of these fields."""
    kind: Literal["ScalingSweep"]
    """The kind of the resource."""
    metadata: Metadata
    """Name and namespace."""
    spec: SweepSpec
    """The study."""
    status: dict[str, Any] = Field(default_factory=dict)
    """Written by the operator; a manifest's is passed over."""
