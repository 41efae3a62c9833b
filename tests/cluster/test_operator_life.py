"""The life of a sweep on a real API server, whose nodes the test plays (`support.stage`)."""

import functools
import time

import pytest

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep_operator import names, resources
from support import manifests
from support.stage import Stage

pytestmark = pytest.mark.cluster


def test_from_apply_to_a_fitted_law(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    stage.look()
    assert stage.status().phase == "Preparing"
    assert stage.condition("Planned") == ("Unknown", "Preparing")
    stage.prepare()
    assert stage.condition("Planned") == ("True", "Planned")
    # sources and what needs none; CPT waits for its source
    assert set(stage.trials()) == {"source/27k", "source/55k", "scratch/27k", "scratch/55k"}
    assert len(stage.jobs()) == 4
    stage.done("source/27k")
    stage.settle()
    assert "cpt/27k" in stage.trials()
    assert "cpt/55k" not in stage.trials()
    stage.finish()
    status = stage.status()
    assert (status.phase, status.progress) == ("Complete", "6/6")
    assert stage.condition("Complete") == ("True", "Ended")
    assert stage.condition("Failed")[0] == "False"
    assert stage.condition("Fitted") == ("True", "Fitted")
    assert status.fit is not None
    assert status.fit.report == "s3://studies/sweeps/x/small/report.html"
    stage.kubectl("wait", "scalingsweep/small", "--for=condition=Complete", "--timeout=1s")
    assert len(stage.jobs()) == 6, "one job a trial"
    assert {t["status"]["phase"] for t in stage.trials().values()} == {"Succeeded"}


def test_a_look_at_what_has_not_changed_writes_nothing(stage: Stage) -> None:
    stage.apply()
    stage.prepare()
    before = stage.written()
    stage.look()
    assert stage.written() == before


def test_a_failed_attempt_is_tried_again_under_a_new_name(stage: Stage) -> None:
    stage.apply()
    stage.prepare()
    first = stage.job_of("source/55k")
    stage.run(first)
    stage.end(first, Outcome(klass=Class.OUT_OF_MEMORY, message="CUDA out of memory"))
    stage.settle()
    second = stage.job_of("source/55k", 2)
    assert second in stage.jobs()
    job = stage._read(resources.PYTORCH_JOBS, second)
    assert job["metadata"]["annotations"][names.HALVINGS] == "1"


def test_prepare_that_finds_bad_data_ends_the_sweep(stage: Stage) -> None:
    stage.apply()
    stage.look()
    bad = Outcome(
        klass=Class.BAD_DATA, message="spec.corpora[0]: is empty", field="spec.corpora[0]"
    )
    stage.end(stage.role_job("prepare"), bad)
    stage.settle()
    assert stage.condition("Failed")[0] == "True"
    assert stage.condition("Planned") == ("False", "BadData")
    assert not stage.jobs()


@pytest.mark.parametrize("role", ["prepare", "fit"])
def test_a_job_whose_pod_is_taken_away_without_a_word_spends_no_retry(
    stage: Stage, role: str
) -> None:
    stage.apply(retry={"limit": 0, "backoffSeconds": 0}, parallelTrialCount=100)
    stage.look()
    if role == "fit":
        stage.prepare()
        stage.train()
    job = stage.role_job(role)
    (pod,) = stage.pods(job)
    stage.delete(resources.PODS, pod["metadata"]["name"], now=True)
    stage.look_until(lambda: stage.newest(role) not in {job, ""})
    assert stage.status().phase == {"prepare": "Preparing", "fit": "Fitting"}[role]


@pytest.mark.parametrize(
    ("klass", "again"),
    [
        (Class.INFRASTRUCTURE, True),
        (Class.OUT_OF_MEMORY, True),
        (Class.PREEMPTED, True),
        (Class.BAD_CONFIGURATION, False),
        (Class.BAD_DATA, False),
        (Class.DIVERGED, False),
    ],
)
def test_each_class_of_failure_has_its_end(stage: Stage, klass: Class, again: bool) -> None:
    stage.apply()
    stage.prepare()
    first = stage.job_of("source/55k")
    stage.run(first)
    stage.end(first, Outcome(klass=klass, message="why"))
    stage.settle()
    attempts = stage.trials()["source/55k"]["status"]["attempts"]
    assert [attempt.get("class") for attempt in attempts] == [klass, None][: 1 + again]
    assert (str(klass), "attempt 1: why") in stage.events()


def test_what_was_superseded_waits_and_then_yields(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    first = stage.job_of("source/55k")
    stage.run(first)
    stage.end(first, Outcome(klass=Class.SUPERSEDED, message="a newer claim"))
    stage.look_until(functools.partial(_tried, stage, 2))
    stage.look_until(lambda: bool(stage.pods(stage.job_of("source/55k", 2))))
    (pod,) = stage.pods(stage.job_of("source/55k", 2))
    told = {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0]["env"]}
    assert '"yields":true' in told["SCALINGSWEEP_ATTEMPT"]


def test_killed_for_memory_is_retried_once(stage: Stage) -> None:
    stage.apply()
    stage.prepare()
    for number in (1, 2):
        job = stage.job_of("source/55k", number)
        stage.run(job)
        stage.killed_for_memory(job)
        stage.settle()
    trial = stage.trials()["source/55k"]["status"]
    assert [attempt["class"] for attempt in trial["attempts"]] == ["HostMemory"] * 2
    assert trial["phase"] == "Failed"


def test_a_failed_source_skips_what_needs_it_and_the_rest_is_fitted(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    job = stage.job_of("source/55k")
    stage.end(job, Outcome(klass=Class.DIVERGED, message="step 3 is no number"))
    stage.finish()
    status = stage.status()
    assert status.trials is not None
    assert (status.trials.succeeded, status.trials.failed, status.trials.skipped) == (4, 1, 1)
    assert stage.condition("Fitted") == ("True", "Partial")


def test_a_failed_trial_that_is_deleted_is_tried_again(stage: Stage) -> None:
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    stage.end(stage.job_of("source/55k"), Outcome(klass=Class.DIVERGED, message="why"))
    stage.settle()
    name = stage.trials()["source/55k"]["metadata"]["name"]
    stage.delete(resources.TRIALS, name)
    stage.until(lambda: name not in {t["metadata"]["name"] for t in stage.items(resources.TRIALS)})
    stage.until(lambda: f"{name}-a1" not in stage.every_job())
    stage.settle()
    assert [a["number"] for a in stage.trials()["source/55k"]["status"]["attempts"]] == [1]


def test_suspend_saves_and_resume_goes_on_without_spending_a_retry(stage: Stage) -> None:
    stage.apply(retry={"limit": 0, "backoffSeconds": 0})
    stage.prepare()
    for round_ in (1, 2, 3):
        job = stage.job_of("source/55k", round_)
        stage.run(job)
        stage.look()
        stage.edit(suspend=True)
        stage.look()
        assert job not in stage.jobs()
        stage.gone(job)
        stage.settle()
        assert stage.condition("Suspended") == ("True", "Suspended")
        stage.edit(suspend=False)
        stage.look_until(functools.partial(_tried, stage, round_ + 1))
        assert stage.condition("Suspended") == ("False", "Resumed")
    prepares = {job["metadata"]["name"] for job in stage.items(resources.JOBS)}
    assert len(prepares) == 1, "prepare has nothing new to look at"
    stage.finish()
    assert stage.status().phase == "Complete"


def _tried(stage: Stage, number: int) -> bool:
    return bool(stage.attempt("source/55k")["number"] == number)


def test_the_deadline_ends_it(stage: Stage) -> None:
    stage.apply(limits={"deadline": "1s"})
    stage.settle()
    stage.look_until(lambda: stage.status().phase == "Failed")
    assert stage.condition("BudgetExceeded") == ("True", "Deadline")
    assert stage.condition("Failed")[0] == "True"


def test_pods_that_never_start_end_the_attempt(stage: Stage) -> None:
    stage.apply(limits={"startDeadline": "3s"}, retry={"limit": 0, "backoffSeconds": 0})
    stage.prepare()
    job = stage.job_of("source/55k")
    (pod,) = stage.pods(job)
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    stage.write_pod(pod, {"phase": "Pending", "conditions": [condition | {"message": words}]})
    stage.settle()
    assert stage.condition("Progressing") == ("False", "Unschedulable")
    status = stage.trials()["source/55k"]["status"]
    assert words in status["message"]
    assert status["phase"] == "Pending", "whoever reads Running believes that it trains"
    stage.look_until(lambda: "class" in stage.attempt("source/55k"))
    assert words in stage.attempt("source/55k")["message"]
    assert job not in stage.jobs()


def test_an_image_that_was_mended_is_pulled_at_once(stage: Stage) -> None:
    stage.apply(trialTemplate={"image": "wrong:1"})
    stage.prepare()
    job = stage.job_of("source/55k")
    (pod,) = stage.pods(job)
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "wrong:1 is not there"}}
    stage.container(pod, "Pending", waiting)
    stage.settle()
    assert stage.condition("Progressing") == ("False", "ImagePull")
    stage.edit(trialTemplate={"image": "right:1"})
    stage.prepare()
    assert job not in stage.jobs()
    stage.gone(job)
    stage.settle()
    (pod,) = stage.pods(stage.job_of("source/55k", 2))
    assert pod["spec"]["containers"][0]["image"] == "right:1"


def test_a_template_that_the_api_server_refuses_is_told_before_anything_runs(stage: Stage) -> None:
    container = {"name": "pytorch", "resources": {"limits": {"memory": "much"}}}
    stage.apply(podTemplate={"spec": {"containers": [container]}})
    stage.look()
    assert stage.condition("Planned") == ("False", "BadPodTemplate")
    assert stage.status().message.startswith("spec.podTemplate")
    assert "quantities must match" in stage.status().message
    assert not stage.items(resources.JOBS)


def test_two_nodes_one_word(stage: Stage) -> None:
    stage.apply(resources=[{"nodes": 2, "gpusPerNode": 1, "accelerator": "CPU"}])
    stage.prepare()
    job = stage.job_of("source/55k")
    assert len(stage.pods(job)) == 2
    stage.run(job)
    stage.look()
    # the worker's memory is why; the master only loses the connection
    stage.end(job, Outcome(klass=Class.OUT_OF_MEMORY, message="CUDA out of memory"), pod=1)
    stage.end(job, Outcome(klass=Class.INFRASTRUCTURE, message="connection reset"), pod=0)
    stage.settle()
    attempts = stage.trials()["source/55k"]["status"]["attempts"]
    assert attempts[0]["class"] == "OutOfMemory"


def test_it_may_end_after_every_single_write(stage: Stage) -> None:
    """Each process writes once and dies before it hears the answer; the next one goes on."""
    stage.one_write_a_life = True
    stage.apply(parallelTrialCount=100)
    stage.prepare()
    stage.finish()
    assert stage.status().phase == "Complete"
    assert stage.status().progress == "6/6"
    for trial in stage.trials().values():
        assert [a["class"] for a in trial["status"]["attempts"]] == ["Done"]
    assert len(stage.every_job()) == 6
    assert len(stage.items(resources.JOBS)) == 2
    assert stage.deaths > 30


def test_without_training_operator_a_condition_says_so(stage: Stage) -> None:
    stage.apply()
    stage.look()
    stage.without_pytorch_jobs = True
    stage.prepare()
    assert stage.condition("Progressing") == ("False", "NoTrainingOperator")
    assert not stage.items(resources.TRIALS)
    stage.without_pytorch_jobs = False
    stage.settle()
    assert stage.jobs()


def test_a_queue_that_nothing_serves(stage: Stage) -> None:
    stage.apply(queueName="research")
    stage.prepare()
    (job, _) = stage.items(resources.PYTORCH_JOBS)
    assert job["spec"]["runPolicy"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    stage.settle()
    assert stage.condition("Progressing")[1] in {"Queued", "NoKueueIntegration"}
    assert {each["status"]["phase"] for each in stage.trials().values()} == {"Pending"}
    assert not stage.pods(job["metadata"]["name"])


def test_quota_gpu_hours_keep_what_was_used(stage: Stage) -> None:
    stage.apply(limits={"gpuHours": 0.0001})
    stage.prepare()
    job = stage.job_of("source/55k")
    stage.run(job)
    time.sleep(2)
    stage.done("source/55k")
    stage.finish()
    assert stage.condition("BudgetExceeded") == ("True", "GpuHours")
    assert stage.status().usage.gpu_hours >= 0.0001


def test_an_answer_of_prepare_that_fits_no_plan_is_told(stage: Stage) -> None:
    stage.apply()
    stage.look()
    strange = manifests.prepared(("other", "words"))
    stage.end(stage.role_job("prepare"), Outcome(klass=Class.DONE, prepared=strange))
    stage.settle()
    assert stage.condition("Planned") == ("False", "BadConfiguration")
    assert stage.condition("Failed")[0] == "True"
    assert not stage.jobs()
