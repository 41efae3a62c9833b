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

    def observe(self) -> Observed:
        return Observed(
            plan=self.plan,
            attempts={work: tuple(list_) for work, list_ in self.attempts.items()},
            prepared=self.prepared,
            observed=self.observed,
            started=0.0,
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
        return [work for work, list_ in self.attempts.items() if list_[-1].running]

    def end(self, work: Work, klass: Class, message: str = "", budgets: int | None = None) -> None:
        """End the running attempt at a piece of work.

        Args:
            work: which.
            klass: how.
            message: what it says.
            budgets: how many of its budgets it has completed; all when it is done.
        """
        last = self.attempts[work][-1]
        assert last.running
        done: tuple[int, ...] = ()
        if isinstance(work, Key):
            planned = next((t.budgets for t in self.plan.trials if t.key == work), ())
            done = planned if klass is Class.DONE else planned[: budgets or 0]
        self.attempts[work][-1] = dataclasses.replace(
            last, ended=self.now, klass=klass, message=message, budgets=done
        )
        if work is Job.PREPARE and klass is Class.DONE:
            self.prepared = manifests.prepared()

    def _start(self, action: Start) -> None:
        assert action.work not in self.running(), "the same work runs twice at once"
        self.starts.append(action)
        fitted = decide.complete_observations(self.observe()) if action.work is Job.FIT else 0
        self.attempts.setdefault(action.work, []).append(Attempt(started=self.now, fitted=fitted))

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
