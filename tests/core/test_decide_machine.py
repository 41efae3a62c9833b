"""`decide` against everything that can happen to a sweep, in any order, and edits in between.

The machine plays the world: it ends attempts in any class, honest or lying, edits the spec, moves
the clock, restarts the control plane. What must hold is checked at every decision; and whatever
has happened, once nothing fails any more the sweep ends with nothing lost.
"""

import dataclasses
from typing import Any

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from scalingsweep import cost, decide, devices, gpu_time, identity
from scalingsweep.api.names import duration
from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key, Plan, Trial
from scalingsweep.world import Decision, Job, Phase, Start, TrialPhase
from support import manifests, worlds

FREE = {Class.PREEMPTED, Class.SUPERSEDED}
GPU = {"gpusPerNode": 1, "accelerator": "H100"}


def ids(plan: Plan) -> dict[Key, str]:
    """What stands for `resolve.trials`: an id depends on the arm and on what it starts from."""
    made: dict[Key, str] = {}
    for trial in plan.trials:
        source = trial.source and [made[trial.source.key], trial.source.tokens]
        made[trial.key] = identity.digest([trial.key.arm, trial.key.size, trial.key.seed, source])
    return made


SPECS = st.fixed_dictionaries(
    {
        "sizes": st.sampled_from([["27k"], ["55k"], ["27k", "55k"]]),
        "arms": st.sets(st.sampled_from([2, 3]), max_size=2),
        "source": st.sampled_from(["1M", "2M"]),
        "budgets": st.sampled_from([["250k"], ["250k", "700k"], ["700k", "2M"]]),
        "seeds": st.sampled_from([[0], [0, 1]]),
        "parallel": st.integers(1, 4),
        "failed": st.integers(0, 4),
        "way": st.sampled_from(["Drain", "Stop"]),
        "retries": st.integers(0, 2),
        "backoff": st.sampled_from([0, 60]),
        "deadline": st.sampled_from([None, None, "3h"]),
        "hours": st.sampled_from([None, None, 1e-5, 3e-5]),
        "laws": st.sampled_from([["chinchilla"], ["extended"]]),
    }
)


def planned(asked: dict[str, Any]) -> Plan:
    small = manifests.small()
    source, scratch, *others = small["arms"]
    source["budgets"] = {"tokens": [asked["source"]]}
    limits = {"deadline": asked["deadline"], "gpuHours": asked["hours"]}
    return manifests.planned(
        model=small["model"] | {"sizes": asked["sizes"]},
        arms=[source, scratch, *(others[index - 2] for index in sorted(asked["arms"]))],
        budgets={"tokens": asked["budgets"]},
        training=small["training"] | {"seeds": asked["seeds"]},
        resources=[GPU],
        parallelTrialCount=asked["parallel"],
        maxFailedTrialCount=asked["failed"],
        onMaxFailed=asked["way"],
        retry={"limit": asked["retries"], "backoffSeconds": asked["backoff"]},
        limits={name: value for name, value in limits.items() if value is not None},
        fit={"laws": asked["laws"]},
    )


class Sweep(stateful.RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stored: set[tuple[str, int]] = set()
        """What is in S3."""
        self.former_prepare = False
        """Whether the prepare that runs was made for an earlier spec."""
        self.gpu_seconds = 0.0

    @stateful.initialize(asked=SPECS)
    def begin(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        self.world = worlds.World(plan=planned(asked))
        self.step()

    @stateful.rule(
        data=st.data(),
        klass=st.sampled_from([*Class, *[Class.DONE] * 5, *[Class.PREEMPTED] * 2]),
        lies=st.booleans(),
        told=st.integers(0, 2),
        step=st.sampled_from([None, 10, 20]),
    )
    def end(
        self, data: st.DataObject, klass: Class, lies: bool, told: int, step: int | None
    ) -> None:
        if self.world.running():
            work = data.draw(st.sampled_from(self.world.running()))
            self.leave(work, klass, told=told if klass is not Class.DONE or lies else None, at=step)
            self.step()

    @stateful.rule(rounds=st.integers(1, 12))
    def work_on(self, rounds: int) -> None:
        """All goes well for a while: so the machine comes to fits, and beyond."""
        for _ in range(rounds):
            for work in self.world.running():
                if work is not Job.FIT:
                    self.leave(work, Class.DONE)
            self.world.now = max(self.world.now, self.step().look_again or 0)

    @stateful.rule(data=st.data(), klass=st.sampled_from(list(Class)), times=st.integers(2, 6))
    def keep_failing(self, data: st.DataObject, klass: Class, times: int) -> None:
        """One piece of work ends so again and again, or says that it is done and is not."""
        if not self.world.running():
            return
        work = data.draw(st.sampled_from(self.world.running()))
        for _ in range(times):
            if work in self.world.running():
                self.leave(work, klass, told=0)
            self.world.now = max(self.world.now, self.step().look_again or 0)
            self.step()

    @stateful.rule(source=st.sampled_from(["1M", "2M"]))
    def move_the_source(self, source: str) -> None:
        """The only edit that gives a key another id."""
        self.asked = self.asked | {"source": source}
        self.change(planned(self.asked))
        self.step()

    @stateful.rule(seconds=st.sampled_from([1, 60, 3000, 20_000]))
    def wait(self, seconds: int) -> None:
        self.world.now += seconds
        self.step()

    @stateful.rule()
    def wait_until_asked(self) -> None:
        self.world.now = max(self.world.now, self.step().look_again or 0)
        self.step()

    @stateful.rule()
    def step_again(self) -> None:
        decision = self.step()
        assert self.step().actions == () or decision.actions != ()

    @stateful.rule(asked=SPECS)
    def edit(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        self.change(planned(asked))
        self.step()

    @stateful.rule()
    def suspend_or_resume(self) -> None:
        spec = self.world.plan.spec
        turned = spec.model_copy(update={"suspend": not spec.suspend})
        self.world.plan = dataclasses.replace(self.world.plan, spec=turned)
        self.step()

    @stateful.rule()
    def restart_the_control_plane(self) -> None:
        for attempts in self.world.attempts.values():
            if attempts and attempts[-1].running:
                attempts[-1] = dataclasses.replace(attempts[-1], stopping=False)
        self.step()

    @stateful.rule()
    def lose_what_prepare_said(self) -> None:
        self.change(self.world.plan)
        self.step()

    @stateful.precondition(lambda self: not self.world.running())
    @stateful.rule()
    def run_the_command_again(self) -> None:
        """A new run on one machine forgives: earlier attempts are known by their GPU time alone."""
        spent = gpu_time.used(self.world.observe(), self.world.now)
        self.change(self.world.plan)
        self.world.attempts.clear()
        self.world.spent_gpu_seconds = spent
        self.step()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        calm = self.world.plan.spec.model_copy(update={"suspend": False})
        self.world.plan = dataclasses.replace(self.world.plan, spec=calm)
        for _ in range(200):
            decision = self.step()
            if decision.finished:
                break
            for work in self.world.running():
                self.leave(work, Class.DONE)
            self.world.now = max(self.world.now + 1, decision.look_again or 0)
        assert decision.finished, f"it never ends: {decision.phase} {decision.reason}"
        self.nothing_is_lost(decision)

    def change(self, plan: Plan) -> None:
        """Another generation of the spec: prepare looks again."""
        world = self.world
        running = Job.PREPARE in world.running()
        world.attempts[Job.PREPARE] = world.attempts.get(Job.PREPARE, [])[-1:] if running else []
        self.former_prepare = running
        world.plan, world.prepared, world.ids, world.observed = plan, None, {}, frozenset()

    def leave(
        self, work: Job | Key, klass: Class, *, told: int | None = None, at: int | None = None
    ) -> None:
        """An attempt ends; what it tells of its budgets is in S3."""
        world = self.world
        before = world.prepared
        world.end(work, klass, "why", budgets=told, step=at)
        last = world.attempts[work][-1]
        self.stored |= {(last.trial, D) for D in last.budgets}
        if work is not Job.PREPARE:
            return
        if self.former_prepare:
            world.attempts[Job.PREPARE], world.prepared = [], before
            self.former_prepare = False
        elif klass is Class.DONE and told is None:
            world.ids = ids(world.plan)
            cells = ((trial.key, D) for trial, D in world.plan.observations)
            world.observed = frozenset(c for c in cells if (world.ids[c[0]], c[1]) in self.stored)
        else:
            world.prepared = before

    def step(self) -> Decision:
        """One decision, checked and carried out; the world refuses to start what runs."""
        world = self.world
        observed, now = world.observe(), world.now
        running = world.running()
        decision = world.step()
        starts = [action.work for action in decision.actions if isinstance(action, Start)]
        self.limits_hold([work for work in starts if isinstance(work, Key)], running)
        if world.plan.spec.suspend:
            assert not starts
        if Job.FIT in starts:
            assert decide.complete_observations(observed) > 0
        if decision.finished:
            assert not world.running(), "it has ended and something runs"
        elif not world.running() and not world.plan.spec.suspend:
            assert decision.look_again is not None, f"it waits for nothing: {decision.reason}"
        assert decision.look_again is None or decision.look_again > now
        names = [
            a.trial for list_ in world.attempts.values() for a in list_ if a.running and a.trial
        ]
        assert len(names) == len(set(names)), "a trial runs twice at once"
        used = gpu_time.used(world.observe(), now)
        assert used >= self.gpu_seconds - 1e-6, "GPU-hours have fallen"
        self.gpu_seconds = used
        return decision

    def limits_hold(self, starts: list[Key], running: list[Job | Key]) -> None:
        if not starts:
            return
        world, spec = self.world, self.world.plan.spec
        trials = {trial.key: trial for trial in world.plan.trials}
        busy = [work for work in running if isinstance(work, Key)]
        assert len(busy) + len(starts) <= spec.parallel_trial_count
        assert world.prepared is not None
        if spec.limits.deadline is not None:
            assert world.now < duration(spec.limits.deadline)
        if spec.limits.gpu_hours is not None:
            spent = gpu_time.used(world.observe(), world.now)
            new = sum(estimate(trials[key]) for key in starts)
            assert spent + new <= spec.limits.gpu_hours * 3600 * (1 + 1e-9)
        for key in starts:
            trial, name = trials[key], world.ids[key]
            known = {D for D in trial.budgets if (name, D) in self.stored}
            assert known != set(trial.budgets), f"{key} is complete and is trained again"
            if trial.source is not None:
                source = world.ids[trial.source.key], trial.source.tokens
                assert source in self.stored, f"{key} has no checkpoint to start from"
            tries = [a for a in world.attempts[key] if a.trial == name and not a.running]
            told: set[int] = set()
            spent_tries = 0
            for one in tries:
                news = one.klass is Class.DONE and bool(set(one.budgets) - told)
                spent_tries = 0 if news else spent_tries + (one.klass not in FREE)
                told |= set(one.budgets)
            assert spent_tries <= spec.retry.limit, f"{key} has no retry left"

    def nothing_is_lost(self, decision: Decision) -> None:
        world = self.world
        complete = decide.complete_observations(world.observe())
        true = {(world.ids.get(trial.key, ""), D) for trial, D in world.plan.observations}
        if world.ids:
            assert complete == len(true & self.stored), "a result is not counted, or made up"
        assert (decision.phase is Phase.COMPLETE) <= (complete > 0)
        spec, failed = world.plan.spec, decision.count(TrialPhase.FAILED)
        limited = spec.limits.deadline or spec.limits.gpu_hours
        if not limited and failed <= spec.max_failed_trial_count and world.ids:
            ended = {TrialPhase.SUCCEEDED, TrialPhase.FAILED, TrialPhase.SKIPPED}
            assert set(decision.trials.values()) <= ended, "a trial is lost"


def estimate(trial: Trial) -> float:
    """GPU-seconds of a whole trial, as the plan tells them."""
    device = devices.find("H100")
    assert device is not None
    hours = cost.gpu_hours(cost.trial_flops(trial.size.shape, trial.trained_tokens), device)
    assert hours is not None
    return hours * 3600


TestSweep = Sweep.TestCase
TestSweep.settings = hypothesis.settings(
    max_examples=60,
    stateful_step_count=40,
)
