"""What people edit and delete amid a study, on a real API server (`support.stage` plays nodes)."""

import pytest

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep_operator import resources
from support.stage import Stage

pytestmark = pytest.mark.cluster


def test_a_budget_that_is_added_trains_only_that(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    stage.finish()
    before = {job: stage.every_job()[job] for job in stage.every_job()}
    stage.edit(budgets={"tokens": ["250k", "700k", "2M", "4M"]})
    stage.prepare()
    again = set(stage.every_job()) - set(before)
    trials = {item["metadata"]["name"]: name for name, item in stage.trials().items()}
    assert {trials[job.rpartition("-a")[0]] for job in again} == {
        "scratch/27k",
        "scratch/55k",
        "cpt/27k",
        "cpt/55k",
    }
    stage.finish()
    assert stage.status().progress == "6/6"
    assert len(stage.trials()["scratch/27k"]["spec"]["budgets"]) == 4


def test_a_size_that_is_removed_stops_and_goes(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    job = stage.job_of("scratch/55k")
    stage.run(job)
    stage.edit(model={"sizes": ["27k"]})
    stage.prepare()
    assert job not in stage.jobs()
    stage.look_until(lambda: set(stage.trials()) == {"source/27k", "scratch/27k"})
    stage.finish()
    assert stage.status().progress == "3/3"


def test_a_sweep_that_is_deleted_leaves_nothing(stage: Stage) -> None:
    stage.apply()
    stage.prepare()
    jobs = stage.jobs()
    stage.delete(resources.SWEEPS, "small")
    stage.look()
    stage.until(lambda: not stage.every_job() and not stage.items(resources.TRIALS))
    for job in jobs:
        stage.gone(job)
    stage.until(lambda: not stage.items(resources.JOBS))
    stage.look()
    assert not stage.every_job()


def test_one_of_the_same_name_begins_when_the_former_is_collected(stage: Stage) -> None:
    stage.apply()
    stage.prepare()
    old = set(stage.every_job().values())
    assert old
    stage.kubectl("delete", "scalingsweep/small", "--wait=false")
    stage.apply()
    stage.look()
    stage.look_until(lambda: bool(stage.newest("prepare")))
    stage.prepare()
    stage.look_until(lambda: bool(stage.jobs()))
    stage.finish()
    assert stage.status().phase == "Complete"
    assert not old & set(stage.every_job().values())


def test_what_is_anothers_is_left_alone(stage: Stage) -> None:
    stage.apply()
    stage.prepare()
    old = stage.every_job()
    stage.kubectl("delete", "scalingsweep/small", "--cascade=orphan")
    stage.apply()
    stage.settle()
    assert stage.every_job() == old
    assert any("is not this sweep's" in note for _, note in stage.events())


def test_a_job_that_is_deleted_is_made_anew_under_the_next_name(stage: Stage) -> None:
    stage.apply()
    stage.prepare()
    job = stage.job_of("source/55k")
    stage.run(job)
    stage.look()
    stage.delete(resources.PYTORCH_JOBS, job)
    stage.until(lambda: job not in stage.every_job())
    stage.gone(job)
    stage.settle()
    assert stage.job_of("source/55k", 2) in stage.jobs()


def test_all_statuses_emptied_train_nothing_again(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    stage.done("source/27k")
    stage.done("scratch/27k")
    stage.settle()
    jobs = set(stage.every_job())
    running = stage.job_of("scratch/55k")
    stage.run(running)
    stage.empty_statuses()
    stage.prepare()
    assert set(stage.every_job()) == jobs
    stage.finish()
    assert stage.status().phase == "Complete"
    assert len(stage.every_job()) == 6


def test_finished_trials_that_are_deleted_are_not_made_again(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    stage.finish()
    hours = stage.status().usage.gpu_hours
    for trial in stage.items(resources.TRIALS):
        stage.delete(resources.TRIALS, trial["metadata"]["name"])
    stage.until(lambda: not stage.items(resources.TRIALS) and not stage.every_job())
    stage.settle()
    assert not stage.items(resources.TRIALS)
    assert stage.status().phase == "Complete"
    assert stage.status().usage.gpu_hours == hours


def test_what_the_ttl_removed_is_not_made_again(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100, ttlSecondsAfterFinished=0)
    stage.prepare()
    stage.end(stage.job_of("source/55k"), Outcome(klass=Class.DIVERGED, message="why"))
    stage.finish()
    stage.look()
    stage.until(lambda: not stage.items(resources.TRIALS) and not stage.every_job())
    stage.look()
    assert not stage.items(resources.TRIALS)
    assert stage.status().progress == "4/6"
