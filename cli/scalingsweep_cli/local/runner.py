"""The loop of one machine: observe, decide, act; until the study has ended or is interrupted.

`decide` is the operator's own. What is here only looks at processes and files and does what it
says. Kill this process at any instruction: the next run goes on from the journal and from S3.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from scalingsweep import decide, resolve
from scalingsweep.api.outcome import Class, FitSummary, Outcome
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import DataError, SpecError, TransientError
from scalingsweep.plan import Key
from scalingsweep.world import Decision, Job, Observed, Phase, Stop, Work
from scalingsweep_cli.local import crew as crews
from scalingsweep_cli.local import journal, orders
from scalingsweep_cli.local.crew import Crew, Ended, Running
from scalingsweep_cli.local.interrupt import Interrupt
from scalingsweep_cli.local.storage import Opened
from scalingsweep_cli.local.study import Study

PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a reporter shows."""

    decision: Decision
    running: Mapping[Work, Running]
    specs: Mapping[Key, TrialSpec]
    stopping: bool
    """Whether all trials were told to save and leave."""


class Reporter(Protocol):
    """Where a run is watched: a live display, or plain lines."""

    def started(self, running: Running) -> None:
        """An attempt has begun."""
        ...

    def ended(self, ended: Ended) -> None:
        """An attempt is over."""
        ...

    def note(self, words: str) -> None:
        """Something that a reader wants to know."""
        ...

    def show(self, view: View) -> None:
        """The state now; called several times a second."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a run ended."""

    phase: Phase
    reason: str
    interrupted: bool = False
    summary: FitSummary | None = None
    failures: tuple[Ended, ...] = ()
    """The last attempt of each piece of work whose last attempt failed."""


class Runner:
    """One run of the command over one study. The folder's lock is held, the storage open."""

    def __init__(
        self,
        study: Study,
        *,
        record: journal.Journal,
        storage: Opened,
        reporter: Reporter,
        interrupt: Interrupt,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take what a run needs.

        Args:
            study: what is run.
            record: its journal.
            storage: where its workers keep what they make.
            reporter: where it is watched.
            interrupt: what the user's signals have asked for.
            now: the clock; a recorded trace is replayed by its own.
            sleep: what is done between two looks.
        """
        self._study = study
        self._journal = record
        self._storage = storage
        self._reporter = reporter
        self._interrupt = interrupt
        self._now = now
        self._sleep = sleep
        self._crew = Crew(study, record, storage, now)
        self._prepared: Prepared | None = None
        self._specs: dict[Key, TrialSpec] = {}
        self._last: dict[Work, Ended] = {}
        self._earlier_gpu_seconds = 0.0

    def run(self) -> End:
        """Run until the end.

        Raises:
            SpecError: prepare, or the text that it found, says that the manifest must be edited.
            TransientError: the journal cannot be written, or the storage does not come back.
        """
        left = crews.settle(self._study, self._journal, self._now)
        if left:
            self._reporter.note(f"ended {left} processes that an earlier run had left behind")
        self._journal.begin(self._now())
        self._earlier_gpu_seconds = self._journal.earlier_gpu_seconds()
        try:
            return self._loop()
        finally:
            self._leave()

    def _loop(self) -> End:
        while self._interrupt.number is None:
            self._observe()
            observed = self._observed()
            decision = decide.decide(observed, self._now())
            self._act(decision, observed)
            self._show(decision)
            if decision.finished and not self._crew.running:
                return self._end(decision)
            if decision.phase is Phase.SUSPENDED and not self._crew.running:
                return self._end(decision)
            self._sleep(PAUSE_SECONDS)
        return dataclasses.replace(self._end(self._stop()), interrupted=True)

    def _observe(self) -> None:
        if self._storage.mend():
            self._crew.move()
            self._reporter.note("the S3 server had died: it runs again, on the same data")
        for ended in self._crew.reap():
            self._last[ended.order.work] = ended
            self._reporter.ended(ended)
            if ended.order.work is Job.PREPARE and ended.outcome.klass is Class.DONE:
                self._prepared = ended.outcome.prepared
                assert self._prepared is not None, "or it would not have been done"
                self._specs = resolve.trials(self._study.plan, self._prepared)

    def _observed(self) -> Observed:
        plan = self._study.plan
        assert self._journal.first_start is not None, "begin() came first"
        return Observed(
            plan=plan,
            attempts=self._crew.observed(),
            prepared=self._prepared,
            observed=resolve.observed(plan, self._prepared),
            started=self._journal.first_start,
            spent_gpu_seconds=self._earlier_gpu_seconds,
            refusal=self._study.refusal,
        )

    def _act(self, decision: Decision, observed: Observed) -> None:
        for action in decision.actions:
            if isinstance(action, Stop):
                self._crew.stop(action.work)
                self._reporter.note(f"{action.work} is told to stop: {action.reason}")
                continue
            order = orders.order(
                action,
                self._study,
                prepared=self._prepared,
                specs=self._specs,
                fitted=decide.fit_input(observed),
            )
            running = self._crew.start(order)
            if running is not None:
                self._reporter.started(running)

    def _show(self, decision: Decision, *, stopping: bool = False) -> None:
        self._reporter.show(
            View(
                decision=decision,
                running=self._crew.running,
                specs=self._specs,
                stopping=stopping,
            )
        )

    def _stop(self) -> Decision:
        """Everything saves and leaves; a second signal ends it at once."""
        self._crew.stop_all()
        while self._crew.running:
            if self._interrupt.times > 1:
                self._crew.kill_all()
            with contextlib.suppress(Exception):  # it saves into the storage: try to keep it up
                self._storage.mend()
            for ended in self._crew.reap():
                self._last[ended.order.work] = ended
                self._reporter.ended(ended)
            self._show(decide.decide(self._observed(), self._now()), stopping=True)
            self._sleep(PAUSE_SECONDS)
        return decide.decide(self._observed(), self._now())

    def _leave(self) -> None:
        """Whatever went wrong, no process outlives the run."""
        self._crew.stop_all()
        while self._crew.running:
            if self._interrupt.times > 1:
                self._crew.kill_all()
            try:
                self._crew.reap()
            except TransientError:  # nothing can be recorded any more
                self._crew.abandon()
                raise
            self._sleep(PAUSE_SECONDS)

    def _end(self, decision: Decision) -> End:
        prepare, fit = self._last.get(Job.PREPARE), self._last.get(Job.FIT)
        if decision.phase is Phase.FAILED and prepare is not None:
            _refuse(prepare.outcome)
        complete = decision.phase is Phase.COMPLETE and fit is not None
        return End(
            phase=decision.phase,
            reason=decision.reason,
            summary=fit.outcome.fit if complete and fit is not None else None,
            failures=tuple(
                ended for ended in self._last.values() if ended.outcome.klass in _FAILURES
            ),
        )


_FAILURES = frozenset(Class) - {Class.DONE, Class.PREEMPTED, Class.SUPERSEDED}


def _refuse(outcome: Outcome) -> None:
    """Raise what prepare says that the user must mend."""
    if outcome.klass in {Class.BAD_CONFIGURATION, Class.BAD_DATA}:
        kind = DataError if outcome.klass is Class.BAD_DATA else SpecError
        raise kind(outcome.field, outcome.message.removeprefix(f"{outcome.field}: "))
