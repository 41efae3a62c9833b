import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalingsweep import gpu_time
from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key
from scalingsweep.world import Job, Phase, Stop, TrialPhase
from support import manifests, worlds

SOURCE_27K = Key(arm="source", size="27k", seed=0)
SOURCE_55K = Key(arm="source", size="55k", seed=0)
SCRATCH_27K = Key(arm="scratch", size="27k", seed=0)
CPT_55K = Key(arm="cpt", size="55k", seed=0)


def finish(world: worlds.World, klass: Class = Class.DONE) -> Phase:
    """Let every attempt end in the same way until nothing happens any more."""
    for _ in range(500):
        decision = world.step()
        if decision.finished:
            return decision.phase
        for work in world.running():
            world.end(work, klass)
        if not world.running():
            world.now = max(world.now + 1, decision.look_again or 0)
    raise AssertionError("it never ends")


def test_the_whole_life_of_a_sweep() -> None:
    world = worlds.World(plan=manifests.planned())
    assert world.step().phase is Phase.PREPARING
    assert world.running() == [Job.PREPARE]
    assert finish(world) is Phase.COMPLETE
    assert len(world.starts) == 1 + len(world.plan.trials) + 1


def test_sources_start_first_and_the_longest_of_them() -> None:
    world = worlds.prepared_world()
    world.step()
    assert world.running() == [SOURCE_55K, SOURCE_27K]


def test_a_trial_waits_for_its_source() -> None:
    world = worlds.prepared_world(parallelTrialCount=100)
    decision = world.step()
    assert decision.trials[CPT_55K] is TrialPhase.WAITING
    world.end(SOURCE_55K, Class.DONE)
    world.step()
    assert CPT_55K in world.running()


def test_what_is_observed_already_is_not_trained_again() -> None:
    world = worlds.prepared_world()
    world.observed = frozenset((trial.key, D) for trial, D in world.plan.observations)
    world.step()
    assert world.running() == [Job.FIT]


def test_a_trial_with_one_missing_budget_starts() -> None:
    world = worlds.prepared_world()
    everything = {(trial.key, D) for trial, D in world.plan.observations}
    world.observed = frozenset(everything - {(SCRATCH_27K, 699_904)})
    world.step()
    assert world.running() == [SCRATCH_27K]


def finished_world(**changes: Any) -> worlds.World:
    world = worlds.prepared_world(**changes)
    assert finish(world) is Phase.COMPLETE
    return world


@pytest.mark.parametrize(
    "edit",
    [
        {"fit": {"laws": ["chinchilla"]}},
        {"budgets": {"tokens": ["250k", "700k", "1M"]}},
        {"model": {"contextLength": 128, "sizes": ["27k"]}},
    ],
    ids=["fit", "as many other budgets", "a size less"],
)
def test_what_is_fitted_anew(edit: dict[str, Any]) -> None:
    world = finished_world()
    fits = len(world.attempts[Job.FIT])
    world.plan = manifests.planned(**edit)
    assert finish(world) is Phase.COMPLETE
    assert len(world.attempts[Job.FIT]) == fits + 1
    world.plan = manifests.planned(**edit, parallelTrialCount=7)
    assert finish(world) is Phase.COMPLETE
    assert len(world.attempts[Job.FIT]) == fits + 1, "nothing that it sees has changed"


def test_a_fit_of_what_has_changed_is_stopped_before_the_next_begins() -> None:
    world = worlds.prepared_world()
    while Job.FIT not in world.running():
        world.step()
        for work in world.running():
            if work is not Job.FIT:
                world.end(work, Class.DONE)
    world.plan = manifests.planned(fit={"laws": ["chinchilla"]})
    decision = world.step()
    assert decision.actions == (Stop(work=Job.FIT, reason="what it fits has changed since"),)
    assert world.step().actions == ()
    world.end(Job.FIT, Class.PREEMPTED)
    world.step()
    assert world.running() == [Job.FIT]


def test_a_source_that_fails_after_what_is_needed_of_it_skips_nobody() -> None:
    arms = manifests.small()["arms"]
    del arms[0]["budgets"]
    for arm in arms[2:]:
        arm["init"]["budget"] = "700k"
    world = worlds.prepared_world(arms=arms, parallelTrialCount=100)
    world.step()
    world.end(SOURCE_55K, Class.DIVERGED, budgets=2)
    world.step()
    assert CPT_55K in world.running()
    world.end(SOURCE_27K, Class.DIVERGED, budgets=1)
    assert world.step().trials[dataclasses.replace(CPT_55K, size="27k")] is TrialPhase.SKIPPED


def test_gpu_hours_never_fall_whatever_is_edited() -> None:
    eight = [{"gpusPerNode": 8, "accelerator": "H100"}]
    world = worlds.prepared_world(resources=eight)
    world.step()
    world.now = 100.0
    world.end(SOURCE_27K, Class.PREEMPTED)
    used = gpu_time.used(world.observe(), world.now)
    assert used == 2 * 8 * 100
    only = {"contextLength": 128, "sizes": ["55k"]}
    world.plan = manifests.planned(resources=[{"gpusPerNode": 1}], model=only)
    assert gpu_time.used(world.observe(), world.now) == used


def test_another_id_is_another_trial() -> None:
    """An edit of the source's only budget gives cpt another id under the same key."""
    world = finished_world()
    world.ids = {trial.key: f"{trial.key} now" for trial in world.plan.trials}
    for key, attempts in world.attempts.items():
        if isinstance(key, Key):
            name = f"{key} {'before' if key.arm == 'cpt' else 'now'}"
            world.attempts[key] = [dataclasses.replace(a, trial=name) for a in attempts]
    world.step()
    assert {work.arm for work in world.running() if isinstance(work, Key)} == {"cpt"}
    (key,) = {CPT_55K} & set(world.running())
    world.ids[key] = f"{key} later"
    decision = world.step()
    assert Stop(work=key, reason="the manifest no longer has this trial") in decision.actions
    assert decision.trials[key] is TrialPhase.WAITING


def test_a_failed_prepare_of_an_edit_stops_the_trials_first() -> None:
    world = worlds.prepared_world()
    world.step()
    world.prepared, world.attempts[Job.PREPARE] = None, []
    world.step()
    world.end(Job.PREPARE, Class.BAD_DATA, "spec.corpora[0]: is too small")
    decision = world.step()
    assert decision.phase is Phase.DRAINING
    assert {action.work for action in decision.actions} == {SOURCE_27K, SOURCE_55K}
    for work in world.running():
        world.end(work, Class.PREEMPTED)
    assert world.step().phase is Phase.FAILED


def test_the_deadline_ends_a_prepare_that_hangs() -> None:
    world = worlds.World(plan=manifests.planned(limits={"deadline": "1h"}))
    assert world.step().look_again == 3600
    world.now = 3600
    decision = world.step()
    assert [action.work for action in decision.actions] == [Job.PREPARE]
    world.end(Job.PREPARE, Class.PREEMPTED)
    decision = world.step()
    assert (decision.phase, decision.actions) == (Phase.FAILED, ())
    assert "limits.deadline 1h" in decision.reason


def test_suspending_stops_what_runs_and_resuming_goes_on() -> None:
    world = worlds.prepared_world()
    world.step()
    running = world.running()
    awake = world.plan
    world.plan = dataclasses.replace(awake, spec=awake.spec.model_copy(update={"suspend": True}))
    decision = world.step()
    assert decision.phase is Phase.SUSPENDED
    assert [action.work for action in decision.actions] == running
    assert world.step().actions == (), "it is told once"
    for work in running:
        world.end(work, Class.PREEMPTED)
    assert world.step().actions == ()
    world.plan = awake
    assert finish(world) is Phase.COMPLETE


def test_too_many_failures_drain_and_fit_what_there_is() -> None:
    world = worlds.prepared_world(maxFailedTrialCount=0)
    world.step()
    world.end(SOURCE_55K, Class.DIVERGED)
    decision = world.step()
    assert decision.phase is Phase.DRAINING
    assert world.running() == [SOURCE_27K]
    world.end(SOURCE_27K, Class.DONE)
    world.step()
    assert world.running() == [Job.FIT]
    world.end(Job.FIT, Class.DONE)
    decision = world.step()
    assert decision.phase is Phase.COMPLETE
    assert "maxFailedTrialCount" in decision.reason


def test_too_many_failures_stop_what_runs() -> None:
    world = worlds.prepared_world(maxFailedTrialCount=0, onMaxFailed="Stop")
    world.step()
    world.end(SOURCE_55K, Class.DIVERGED)
    assert [type(action) for action in world.step().actions] == [Stop]


def test_a_removed_size_is_stopped_and_the_fit_waits_for_it() -> None:
    world = worlds.prepared_world()
    world.step()
    world.plan = manifests.planned(model={"contextLength": 128, "sizes": ["55k"]})
    assert Stop(work=SOURCE_27K, reason="the manifest no longer has this trial") in (
        world.step().actions
    )


def test_the_gpu_hours_limit_starts_nothing_that_would_exceed_it() -> None:
    resources = [{"gpusPerNode": 1, "accelerator": "H100"}]
    world = worlds.prepared_world(resources=resources, limits={"gpuHours": 1e-9})
    decision = world.step()
    assert decision.phase is Phase.FAILED
    assert "limits.gpuHours" in decision.reason


def test_the_deadline_stops_what_runs_and_fits_what_there_is() -> None:
    world = worlds.prepared_world(limits={"deadline": "1h"})
    decision = world.step()
    assert decision.look_again == 3600
    world.end(SOURCE_27K, Class.DONE)
    world.now = 3600
    assert [type(action) for action in world.step().actions] == [Stop]
    world.end(SOURCE_55K, Class.PREEMPTED)
    world.step()
    assert world.running() == [Job.FIT]


def test_a_grid_that_cannot_tell_its_law_runs_nothing() -> None:
    world = worlds.World(plan=manifests.planned(), refusal="cannot identify gamma")
    decision = world.step()
    assert decision.phase is Phase.FAILED
    assert decision.actions == ()


def test_a_failed_prepare_names_its_reason() -> None:
    world = worlds.World(plan=manifests.planned())
    world.step()
    world.end(Job.PREPARE, Class.BAD_DATA, "spec.corpora[0].uri: there is no folder")
    decision = world.step()
    assert decision.phase is Phase.FAILED
    assert decision.reason == "spec.corpora[0].uri: there is no folder"


def test_nothing_finished_means_no_fit() -> None:
    world = worlds.prepared_world(maxFailedTrialCount=100)
    assert finish(world, Class.DIVERGED) is Phase.FAILED
    assert Job.FIT not in world.attempts


ENDS = st.sampled_from(
    [Class.DONE] * 6
    + [Class.INFRASTRUCTURE, Class.OUT_OF_MEMORY, Class.HOST_MEMORY, Class.DIVERGED]
    + [Class.PREEMPTED, Class.SUPERSEDED, Class.BAD_DATA]
)


@settings(max_examples=150)
@given(
    draw=st.data(),
    parallel=st.integers(1, 5),
    most_failed=st.integers(0, 20),
    limit=st.integers(0, 3),
)
def test_whatever_fails_it_ends_and_no_limit_is_broken(
    draw: st.DataObject, parallel: int, most_failed: int, limit: int
) -> None:
    world = worlds.World(
        plan=manifests.planned(
            parallelTrialCount=parallel,
            maxFailedTrialCount=most_failed,
            retry={"limit": limit, "backoffSeconds": 10},
        )
    )
    free = 0
    for _ in range(400):
        decision = world.step()
        trials = [work for work in world.running() if isinstance(work, Key)]
        assert len(trials) <= parallel
        if decision.finished:
            break
        if world.running():
            work = draw.draw(st.sampled_from(world.running()))
            klass = draw.draw(ENDS) if free < 30 else Class.DONE
            free += klass in {Class.PREEMPTED, Class.SUPERSEDED}  # these spend no retry
            budgets = None if klass is Class.DONE else draw.draw(st.integers(0, 3))
            world.end(work, klass, "why", budgets=budgets)
        else:
            assert decision.look_again is not None, "it waits for nothing"
            assert decision.look_again > world.now
            world.now = decision.look_again
        world.now += 1
    assert decision.finished
    for attempts in world.attempts.values():
        spent = [a for a in attempts if a.klass not in {Class.PREEMPTED, Class.SUPERSEDED}]
        assert len(spent) <= limit + 1
        done = [a for a in attempts if a.klass is Class.DONE]
        assert len(done) <= 1, "what was finished was done again"
    if decision.phase is Phase.COMPLETE and "maxFailed" not in decision.reason:
        ended = {TrialPhase.SUCCEEDED, TrialPhase.FAILED, TrialPhase.SKIPPED}
        assert set(decision.trials.values()) <= ended, "a trial is lost"
