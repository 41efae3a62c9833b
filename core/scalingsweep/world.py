"""What `decide` sees of the world, and what it answers: frozen values, the same on both back ends.

The local runner fills them from processes and files, the operator from the API server.
"""

import dataclasses
import enum
from collections.abc import Mapping

from scalingsweep.api.outcome import Class
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.scalingtrial import TrialPhase
from scalingsweep.api.status import Phase
from scalingsweep.plan import Key, Plan

__all__ = [  # phases are vocabulary of the wire; whoever speaks of the world finds them here
    "Attempt",
    "Decision",
    "Job",
    "Limit",
    "Observed",
    "Phase",
    "Start",
    "Stop",
    "TrialPhase",
    "Work",
]


class Job(enum.StrEnum):
    """Work that is not a trial."""

    PREPARE = "prepare"
    """Preflight, tokenizer, shards."""
    FIT = "fit"
    """Observations, laws, report."""


Work = Job | Key
"""What an attempt is made at."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a piece of work, as observed. Times are seconds of one clock."""

    started: float
    ended: float | None = None
    klass: Class | None = None
    """None while it runs."""
    message: str = ""
    budgets: tuple[int, ...] = ()
    """Tokens D that its outcome says are complete."""
    step: int | None = None
    """Trials only: the step that it had saved when it left; None where it told of none."""
    stopping: bool = False
    """Whether it was told to stop and has not ended yet."""
    gpus: int = 0
    """How many it held: resources may be edited, and what is used is used."""
    gpu_seconds: float | None = None
    """GPU time so far, where the control plane counts it: a queue holds no GPU. Left out, all of
    the attempt's time counts."""
    trial: str = ""
    """Trials only: the id that it worked at, where the control plane tells ids apart. An edit of
    the source's budgets gives the same key another id."""
    fitted: str = ""
    """Fit only: `decide.fit_input` when it started."""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    def used(self, now: float) -> float:
        """GPU-seconds until `now`."""
        if self.gpu_seconds is not None:
            return self.gpu_seconds
        return ((self.ended if self.ended is not None else now) - self.started) * self.gpus


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A snapshot of the world."""

    plan: Plan
    attempts: Mapping[Work, tuple[Attempt, ...]]
    """Oldest first. Work that the plan no longer has may be among them; those at prepare are of
    this very spec alone, for an edit may have mended what they failed at."""
    prepared: Prepared | None
    """The answer of the newest successful prepare for this very spec."""
    observed: Mapping[Key, frozenset[int]]
    """Tokens D of each trial whose results were complete in S3 when prepare looked."""
    ids: Mapping[Key, str] = dataclasses.field(default_factory=dict)
    """Id of each planned trial, as far as known: attempts at another id are not attempts at it.
    Empty where a key has had one id only, as in one run on one machine."""
    started: float
    """When the sweep first started."""
    spent_gpu_seconds: float = 0
    """Used by attempts that are no longer listed."""
    suspended_seconds: float = 0
    """Time that the sweep has been suspended for; the deadline does not count it."""
    refusal: str = ""
    """Why the grid may not run (identifiability: Refuse), else nothing."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Begin an attempt."""

    work: Work
    halvings: int = 0
    """How often the micro-batch is halved, after attempts that ran out of device memory."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Tell a running attempt to save and leave."""

    work: Work
    reason: str


class Limit(enum.StrEnum):
    """What keeps new trials from starting."""

    GPU_HOURS = "gpuHours"
    DEADLINE = "deadline"
    MAX_FAILED = "maxFailedTrialCount"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now, and what the world looks like."""

    phase: Phase
    reason: str
    """One line for people."""
    trials: Mapping[Key, TrialPhase]
    actions: tuple[Start | Stop, ...] = ()
    limit: Limit | None = None
    """The limit that was reached, if one was."""
    look_again: float | None = None
    """When something changes by time alone, in the clock's seconds."""

    @property
    def finished(self) -> bool:
        """Whether the sweep has ended."""
        return self.phase in {Phase.COMPLETE, Phase.FAILED}

    def count(self, phase: TrialPhase) -> int:
        """Trials in a phase."""
        return sum(1 for trial in self.trials.values() if trial is phase)
