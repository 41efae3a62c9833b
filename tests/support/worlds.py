"""A world in memory that `decide` drives: attempts begin, end as told, and time passes."""

import dataclasses

from scalingsweep import decide, world
from scalingsweep.api.outcome import Class
from scalingsweep.api.prepared import Prepared
from scalingsweep.plan import Key, Plan
from scalingsweep.world import Attempt, Decision, Job, Observed, Start, Stop, Work
from support import manifests


@dataclasses.dataclass
class World:
    """What a control plane would observe, with a clock of its own."""

    plan: Plan
    now: float = 0.0
    prepared: Prepared | None = None
    attempts: dict[Work, list[Attempt]] = dataclasses.field(default_factory=dict)
    observed: frozenset[tuple[Key, int]] = frozenset()
    refusal: str = ""
    starts: list[Start] = dataclasses.field(default_factory=list)
    ids: dict[Key, str] = dataclasses.field(default_factory=dict)
    spent_gpu_seconds: float = 0.0
    asked: dict[Work, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    """Budgets that the last attempt at a trial was told of when it started."""

    def observe(self) -> Observed:
        return Observed(
            plan=self.plan,
            attempts={work: tuple(list_) for work, list_ in self.attempts.items()},
            prepared=self.prepared,
            observed={
                key: frozenset(D for there, D in self.observed if there == key)
                for key, _ in self.observed
            },
            started=0.0,
            ids=self.ids,
            spent_gpu_seconds=self.spent_gpu_seconds,
            refusal=self.refusal,
        )

    def step(self) -> Decision:
        """Decide, and carry out what was decided."""
        decision = decide.decide(self.observe(), self.now)
        for action in decision.actions:
            if isinstance(action, Start):
                self._start(action)
            else:
                self._stop(action)
        return decision

    def running(self) -> list[Work]:
        return [work for work, list_ in self.attempts.items() if list_ and list_[-1].running]

    def end(
        self,
        work: Work,
        klass: Class,
        message: str = "",
        budgets: int | None = None,
        step: int | None = None,
    ) -> None:
        """End the running attempt at a piece of work.

        Args:
            work: which.
            klass: how.
            message: what it says.
            budgets: how many of its budgets it has completed; left out: all when it is done.
            step: the step that it has saved.
        """
        last = self.attempts[work][-1]
        assert last.running
        done: tuple[int, ...] = ()
        if isinstance(work, Key):
            most = len(self.asked[work]) if klass is Class.DONE else 0
            done = self.asked[work][: most if budgets is None else budgets]
        self.attempts[work][-1] = dataclasses.replace(
            last, ended=self.now, klass=klass, message=message, budgets=done, step=step
        )
        if work is Job.PREPARE and klass is Class.DONE:
            self.prepared = manifests.prepared()

    def _start(self, action: Start) -> None:
        assert action.work not in self.running(), "the same work runs twice at once"
        self.starts.append(action)
        fitted = decide.fit_input(self.observe()) if action.work is Job.FIT else ""
        attempt = Attempt(started=self.now, fitted=fitted)
        for trial in self.plan.trials:
            if trial.key == action.work:
                resources = trial.size.resources
                gpus = resources.nodes * resources.gpus_per_node
                name = self.ids.get(trial.key, "")
                attempt = dataclasses.replace(attempt, gpus=gpus, trial=name)
                self.asked[trial.key] = trial.budgets
        self.attempts.setdefault(action.work, []).append(attempt)

    def _stop(self, action: Stop) -> None:
        last = self.attempts[action.work][-1]
        assert last.running
        self.attempts[action.work][-1] = dataclasses.replace(last, stopping=True)


def prepared_world(**changes: object) -> World:
    """A world in which prepare has answered."""
    made = World(plan=manifests.planned(**changes))
    made.step()
    made.end(Job.PREPARE, Class.DONE)
    return made


__all__ = ["World", "prepared_world", "world"]
