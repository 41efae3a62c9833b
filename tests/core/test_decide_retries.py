"""What is tried again, when, and how often: by class of failure."""

import pytest

from scalingsweep import decide
from scalingsweep.api.attempt import MOST_HALVINGS
from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key
from scalingsweep.world import Job, Phase, TrialPhase
from support import manifests, worlds

SOURCE_55K = Key(arm="source", size="55k", seed=0)
SCRATCH_27K = Key(arm="scratch", size="27k", seed=0)
CPT_55K = Key(arm="cpt", size="55k", seed=0)


@pytest.mark.parametrize("klass", [Class.BAD_CONFIGURATION, Class.BAD_DATA, Class.DIVERGED])
def test_what_would_fail_again_is_not_tried_again(klass: Class) -> None:
    world = worlds.prepared_world()
    world.step()
    world.end(SOURCE_55K, klass, "why")
    decision = world.step()
    assert decision.trials[SOURCE_55K] is TrialPhase.FAILED
    assert decision.trials[CPT_55K] is TrialPhase.SKIPPED


def test_infrastructure_is_tried_again_with_growing_waits() -> None:
    world = worlds.prepared_world(retry={"limit": 2, "backoffSeconds": 60}, parallelTrialCount=1)
    waits = []
    for _ in range(2):
        world.step()
        world.end(SOURCE_55K, Class.INFRASTRUCTURE)
        for work in world.running():
            world.end(work, Class.DONE)
        before = world.now
        while SOURCE_55K not in world.running():
            decision = world.step()
            for work in world.running():
                if work != SOURCE_55K:
                    world.end(work, Class.DONE)
            if decision.look_again and SOURCE_55K not in world.running():
                world.now = decision.look_again
        waits.append(world.now - before)
    assert waits == [60, 120]
    world.end(SOURCE_55K, Class.INFRASTRUCTURE)
    assert world.step().trials[SOURCE_55K] is TrialPhase.FAILED


def test_out_of_device_memory_halves_the_micro_batch() -> None:
    world = worlds.prepared_world(retry={"limit": 3, "backoffSeconds": 0}, parallelTrialCount=1)
    for _ in range(3):
        world.step()
        world.end(SOURCE_55K, Class.OUT_OF_MEMORY)
    halvings = [start.halvings for start in world.starts if start.work == SOURCE_55K]
    assert halvings == [0, 1, 2]


def test_memory_that_never_suffices_halves_no_further_than_a_record_holds() -> None:
    world = worlds.prepared_world(retry={"limit": 40, "backoffSeconds": 0}, parallelTrialCount=1)
    for _ in range(41):
        world.step()
        world.end(SOURCE_55K, Class.OUT_OF_MEMORY)
    halvings = [start.halvings for start in world.starts if start.work == SOURCE_55K]
    assert halvings == [*range(MOST_HALVINGS), *[MOST_HALVINGS] * 9]
    assert world.step().trials[SOURCE_55K] is TrialPhase.FAILED


def test_host_memory_is_tried_again_once() -> None:
    world = worlds.prepared_world(retry={"limit": 9, "backoffSeconds": 0}, parallelTrialCount=1)
    for _ in range(2):
        world.step()
        world.end(SOURCE_55K, Class.HOST_MEMORY)
    assert world.step().trials[SOURCE_55K] is TrialPhase.FAILED


def preempted(world: worlds.World, steps: list[int | None]) -> TrialPhase:
    for step in steps:
        world.step()
        world.end(SOURCE_55K, Class.PREEMPTED, step=step)
    return world.step().trials[SOURCE_55K]


def test_preemption_spends_no_retry_while_checkpoints_are_new() -> None:
    world = worlds.prepared_world(retry={"limit": 0, "backoffSeconds": 0}, parallelTrialCount=1)
    assert preempted(world, [10, 10, 10, 10, 20, None, None, None, 30]) is TrialPhase.PENDING


def test_preemption_without_a_new_checkpoint_counts_after_three() -> None:
    world = worlds.prepared_world(retry={"limit": 0, "backoffSeconds": 0}, parallelTrialCount=1)
    assert preempted(world, [10, 10, 10, 10]) is TrialPhase.PENDING
    world.end(SOURCE_55K, Class.PREEMPTED, step=10)
    assert world.step().trials[SOURCE_55K] is TrialPhase.FAILED


def test_what_is_superseded_waits_longer_each_time_and_spends_no_retry() -> None:
    world = worlds.prepared_world(retry={"limit": 0, "backoffSeconds": 0}, parallelTrialCount=1)
    waits = []
    for _ in range(15):
        while SOURCE_55K not in world.running():
            world.now = max(world.now, world.step().look_again or 0)
            for work in world.running():
                if work != SOURCE_55K:
                    world.end(work, Class.DONE)
        world.end(SOURCE_55K, Class.SUPERSEDED)
        standing = decide.trial_phases(world.observe(), world.now)[SOURCE_55K]
        assert standing is TrialPhase.WAITING
        before = world.now
        while SOURCE_55K not in world.running():
            decision = world.step()
            for work in world.running():
                if work != SOURCE_55K:
                    world.end(work, Class.DONE)
            if SOURCE_55K not in world.running() and decision.look_again:
                world.now = decision.look_again
        waits.append(world.now - before)
    assert waits == [min(2.0**n, 3600) for n in range(15)]


def test_a_budget_that_is_added_later_has_retries_of_its_own() -> None:
    budgets = {"tokens": ["250k", "700k"]}
    world = worlds.prepared_world(retry={"limit": 1, "backoffSeconds": 0}, budgets=budgets)
    while SCRATCH_27K not in world.running():
        world.step()
        for work in world.running():
            world.end(work, Class.DONE if work != SCRATCH_27K else Class.INFRASTRUCTURE)
        world.step()
    world.end(SCRATCH_27K, Class.DONE)
    world.plan = manifests.planned(retry={"limit": 1, "backoffSeconds": 0})
    for _ in range(2):
        while SCRATCH_27K not in world.running():
            assert world.step().trials[SCRATCH_27K] is TrialPhase.PENDING
            for work in world.running():
                if work != SCRATCH_27K:
                    world.end(work, Class.DONE)
        world.end(SCRATCH_27K, Class.INFRASTRUCTURE)
    assert world.step().trials[SCRATCH_27K] is TrialPhase.FAILED


def test_done_without_all_budgets_is_no_endless_loop() -> None:
    world = worlds.prepared_world(retry={"limit": 2, "backoffSeconds": 0}, parallelTrialCount=1)
    ends = 0
    while True:
        decision = world.step()
        if decision.trials[SOURCE_55K] is TrialPhase.FAILED:
            break
        world.end(SOURCE_55K, Class.DONE, budgets=0)
        ends += 1
    assert ends == 3
    world = worlds.World(plan=world.plan)
    for _ in range(3):
        world.step()
        world.end(Job.PREPARE, Class.DONE)
        world.prepared = None  # it says that it is done and has told nothing
    decision = world.step()
    assert decision.phase is Phase.FAILED
    assert "given up after 3 attempts" in decision.reason
