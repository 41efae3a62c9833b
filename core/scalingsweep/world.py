"""What `decide` sees of the world, and what it answers: frozen values, the same on both back ends.

The local runner fills them from processes and files, the operator from the API server.
"""

import dataclasses
import enum
from collections.abc import Mapping

from scalingsweep.api.outcome import Class
from scalingsweep.api.prepared import Prepared
from scalingsweep.plan import Key, Plan


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
    stopping: bool = False
    """Whether it was told to stop and has not ended yet."""
    fitted: int = 0
    """Fit only: how many observations were complete when it started."""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A snapshot of the world."""

    plan: Plan
    attempts: Mapping[Work, tuple[Attempt, ...]]
    """Oldest first. Work that the plan no longer has may be among them."""
    prepared: Prepared | None
    """The answer of the newest successful prepare for this very spec."""
    observed: frozenset[tuple[Key, int]]
    """(trial, D) whose results were complete in S3 when prepare looked."""
    started: float
    """When the sweep first started."""
    spent_gpu_seconds: float = 0
    """Used by attempts that are no longer listed."""
    suspended_seconds: float = 0
    """Time that the sweep has been suspended for; the deadline does not count it."""
    refusal: str = ""
    """Why the grid may not run (identifiability: Refuse), else nothing."""


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now, and what the world looks like."""

    phase: Phase
    reason: str
    """One line for people."""
    trials: Mapping[Key, TrialPhase]
    actions: tuple[Start | Stop, ...] = ()
    look_again: float | None = None
    """When something changes by time alone, in the clock's seconds."""

    @property
    def finished(self) -> bool:
        """Whether the sweep has ended."""
        return self.phase in {Phase.COMPLETE, Phase.FAILED}

    def count(self, phase: TrialPhase) -> int:
        """Trials in a phase."""
        return sum(1 for trial in self.trials.values() if trial is phase)
