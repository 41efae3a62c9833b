"""How an attempt ended, by every way in which it can."""

import json

import pytest

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.world import Job
from scalingsweep_operator import ending
from scalingsweep_operator.ending import Evidence
from scalingsweep_operator.vitals import Vitals
from support.cluster_pods import ended, pod

NOW = 1000.0


def done(*budgets: int) -> Outcome:
    return Outcome(klass=Class.DONE, budgets=budgets)


def failed(klass: Class, message: str = "why") -> Outcome:
    return Outcome(klass=klass, message=message)


def judge(*pods: Vitals, **changes: object) -> Outcome | None:
    values: dict[str, object] = {"asked": (10, 20), "since": 100.0, "complete_since": 150.0}
    evidence = Evidence(pods=pods, **(values | changes))  # type: ignore[arg-type] # any of its fields
    return ending.judge(evidence, NOW, 600.0)


def klass(*pods: Vitals, **changes: object) -> Class | None:
    outcome = judge(*pods, **changes)
    return outcome.klass if outcome else None


def test_what_runs_goes_on() -> None:
    assert judge(pod(), pod("worker-0")) is None


def test_rank_0_is_done() -> None:
    assert klass(ended(said=done(10, 20), exit_code=0)) is Class.DONE


def test_done_wins_over_a_worker_that_fails() -> None:
    worker = ended("worker-0", failed(Class.OUT_OF_MEMORY), at=800.0)
    assert klass(ended(said=done(10, 20), exit_code=0), worker) is Class.DONE


def test_a_worker_cannot_say_that_all_is_done() -> None:
    assert klass(pod(), ended("worker-0", done(10, 20), exit_code=0)) is None


def test_a_worker_that_fails_after_it_said_done_has_told_of_no_end() -> None:
    """Its word is not the trial's, and its exit says that it fell: as if it had said nothing."""
    worker = ended("worker-0", done(10, 20), exit_code=1)
    outcome = judge(ended(said=failed(Class.INFRASTRUCTURE), at=990.0), worker)
    assert outcome is not None
    assert outcome.klass is Class.INFRASTRUCTURE
    assert klass(ended(said=failed(Class.DIVERGED), at=990.0), worker) is Class.DIVERGED


def test_done_without_all_that_was_asked_is_no_end_that_counts() -> None:
    outcome = judge(ended(said=done(10)))
    assert outcome is not None
    assert outcome.klass is Class.INFRASTRUCTURE
    assert "[20]" in outcome.message


def test_done_is_not_believed_where_nobody_knows_what_was_asked() -> None:
    assert klass(ended(said=done(10, 20)), asked=None) is Class.INFRASTRUCTURE


def test_a_worker_that_fails_before_its_master_says_why() -> None:
    pods = (
        ended(said=failed(Class.INFRASTRUCTURE), at=905.0),
        ended("worker-0", failed(Class.OUT_OF_MEMORY), at=900.0),
    )
    assert klass(*pods) is Class.OUT_OF_MEMORY


def test_a_specific_failure_counts_though_a_vague_one_came_first() -> None:
    pods = (
        ended(said=failed(Class.INFRASTRUCTURE), at=890.0),
        ended("worker-0", failed(Class.DIVERGED), at=895.0),
    )
    assert klass(*pods) is Class.DIVERGED


def test_a_vague_failure_waits_for_the_others_words_but_not_for_ever() -> None:
    vague = failed(Class.INFRASTRUCTURE)
    assert klass(pod(), ended("worker-0", vague, at=NOW - 1)) is None
    late = NOW - ending.VAGUE_SECONDS
    assert klass(pod(), ended("worker-0", vague, at=late)) is Class.INFRASTRUCTURE


def test_the_last_word_of_all_is_not_waited_for() -> None:
    assert klass(ended(said=failed(Class.INFRASTRUCTURE), at=NOW)) is Class.INFRASTRUCTURE


def test_killed_for_memory() -> None:
    assert klass(ended(said="", exit_code=137, reason="OOMKilled")) is Class.HOST_MEMORY


def test_a_pod_that_the_cluster_takes_away_is_no_failure() -> None:
    outcome = judge(ended(disrupted=True), step=70)
    assert outcome is not None
    assert (outcome.klass, outcome.step) == (Class.PREEMPTED, 70)


@pytest.mark.parametrize(
    "message",
    [
        "Killed",
        "{",
        "[]",
        '{"class": "Nonsense"}',
        '{"class": "HostMemory"}',
        '{"class": "Done", "budgets": "all"}',
        json.dumps({"class": "Done", "budgets": [10, 20], "more": 1}),
        "[" * 4000,
        "x" * 5000,
        '{"class": "Done", "budgets": [NaN]}',
    ],
)
def test_a_hostile_message_is_a_failure_that_may_pass(message: str) -> None:
    outcome = judge(ended(said=message))
    assert outcome is not None
    assert outcome.klass is Class.INFRASTRUCTURE
    assert "cannot be used" in outcome.message


def test_no_escape_sequence_gets_through() -> None:
    said = Outcome(klass=Class.BAD_DATA, message="\x1b[2Jgone")
    outcome = judge(ended(said=json.dumps(said.to_wire())))
    assert outcome is not None
    assert "\x1b" not in outcome.message


def test_a_job_in_its_queue_goes_on_whatever_its_pods_said() -> None:
    preempted = ended(said=failed(Class.PREEMPTED))
    assert judge(preempted, suspended=True) is None


def test_a_pod_that_was_made_anew_ends_the_attempt() -> None:
    assert klass(pod(created=500.0), pod("worker-0")) is Class.PREEMPTED
    assert klass(pod(created=500.0), complete_since=None, since=900.0) is None


def test_what_is_said_of_a_pod_that_vanished_is_not_why() -> None:
    """Its siblings lose their connections; and its successor may fall before anybody looks."""
    sibling = ended("worker-0", failed(Class.INFRASTRUCTURE))
    assert klass(pod(created=500.0), sibling) is Class.PREEMPTED
    assert klass(ended(exit_code=1, created=500.0)) is Class.PREEMPTED
    assert klass(ended(said=failed(Class.DIVERGED), created=500.0)) is Class.DIVERGED


def test_a_pod_on_a_node_that_does_not_answer_is_lost() -> None:
    assert klass(pod(deadline=NOW - 1)) is None
    assert klass(pod(deadline=NOW - 60)) is Class.PREEMPTED


def test_a_job_that_was_deleted() -> None:
    assert klass(gone=True) is Class.PREEMPTED
    assert klass(ended(said=failed(Class.DIVERGED)), gone=True) is Class.DIVERGED


def test_a_job_that_failed_without_a_pods_word() -> None:
    outcome = judge(failed="BackoffLimit: it is over", complete_since=None)
    assert outcome is not None
    assert outcome.klass is Class.INFRASTRUCTURE
    assert "BackoffLimit" in outcome.message


def test_a_job_that_failed_and_whose_pods_are_gone_lost_one_of_them() -> None:
    words = "PyTorchJobFailed: PyTorchJob x is failed because 1 Master replica(s) failed."
    assert klass(failed=words, complete_since=150.0) is Class.PREEMPTED


def test_a_job_that_its_queue_let_go_while_the_evicted_pod_was_leaving() -> None:
    """training-operator counts that pod as a failure of the job, and then it is gone."""
    words = "PyTorchJobFailed: PyTorchJob x is failed because 1 Master replica(s) failed."
    assert klass(pod(), failed=words, queued=True) is None, "a list of pods may be older than it"
    assert klass(failed=words, queued=True, complete_since=None) is Class.PREEMPTED
    assert klass(failed=words, complete_since=None) is Class.INFRASTRUCTURE


def test_a_worker_that_is_not_made_is_told_while_its_master_waits() -> None:
    """A quota, or a policy against what training-operator adds to workers, refuses it alone."""
    half = Evidence(pods=(pod(),), nodes=2, since=NOW - 30)
    told = ending.waiting(half, NOW)
    assert told is not None
    assert told.message.startswith("1 of its 2 pods are not made")
    assert ending.waiting(half, NOW - 25) is None
    late = judge(pod(), nodes=2, complete_since=None, since=NOW - 600)
    assert late is not None
    assert "1 of its 2 pods" in late.message


def test_pods_that_never_all_run() -> None:
    one = pod("worker-0", running=False)
    assert klass(pod(), one, complete_since=None, since=NOW - 500) is None
    assert klass(pod(), one, complete_since=None, since=NOW - 600) is Class.INFRASTRUCTURE


@pytest.mark.parametrize("job", Job)
def test_a_job_whose_pod_was_taken_away_with_its_word_is_no_failure(job: Job) -> None:
    failed = "BackoffLimitExceeded: it has no pod any more"
    assert klass(job=job, failed=failed) is Class.PREEMPTED
    assert klass(pod(deadline=NOW + 20), job=job, failed=failed) is None, "it may still speak"
    assert klass(pod(deadline=NOW - 60), job=job, failed=failed) is Class.PREEMPTED
    spoken = ended(said=Outcome(klass=Class.BAD_DATA), deadline=NOW + 20)
    assert klass(spoken, job=job, failed=failed) is Class.BAD_DATA
    silent = ended(exit_code=1)
    assert klass(silent, job=job, failed=failed) is Class.INFRASTRUCTURE


@pytest.mark.parametrize("job", [None, *Job])
def test_a_success_that_nobody_has_heard_of_is_none(job: Job | None) -> None:
    assert klass(job=job, succeeded=True) is Class.PREEMPTED
    assert klass(pod(), job=job, succeeded=True) is None, "kubelet has yet to write what it said"


def test_a_jobs_answer_must_be_there() -> None:
    assert klass(ended(said=done()), job=Job.FIT, asked=None) is Class.INFRASTRUCTURE


@pytest.mark.parametrize("tokens", [0, -5, 10**30])
def test_budgets_that_no_status_can_hold_are_no_outcome(tokens: int) -> None:
    """The API server would refuse every status of the trial from then on."""
    said = f'{{"class": "Infrastructure", "budgets": [{tokens}], "losses": [1.0]}}'
    outcome = ending.judge(Evidence(pods=(ended(said=said),), asked=(10,), since=100.0), 1000.0)
    assert outcome is not None
    assert outcome.budgets == ()
