"""What is recorded of attempts, and when."""

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.scalingtrial import TrialAttempt, TrialStatus
from scalingsweep_operator import clock, ledger
from scalingsweep_operator.ending import Evidence
from scalingsweep_operator.vitals import Vitals
from support.cluster_pods import ended, pod

NOW = 1000.0
DONE = Outcome(klass=Class.DONE, budgets=(10,))


def attempt(**changes: object) -> TrialAttempt:
    values: dict[str, object] = {"number": 1, "start_time": clock.stamp(100), "job": "job"}
    return TrialAttempt(**(values | changes))


def seen(*pods: Vitals, job: str = "job", **changes: object) -> ledger.Seen:
    values: dict[str, object] = {"asked": (10,), "since": 100.0}
    evidence = Evidence(pods=pods, **(values | changes))  # type: ignore[arg-type] # any of its fields
    return ledger.Seen(evidence=evidence, job=job, started=100.0)


def settle(
    *attempts: TrialAttempt, there: dict[int, ledger.Seen], now: float = NOW
) -> tuple[TrialAttempt, ...]:
    status = TrialStatus(attempts=attempts)
    return ledger.settle(status, there, now, 600.0).attempts


def test_an_attempt_that_was_not_made_yet_stays_so() -> None:
    (found,) = settle(attempt(job=""), there={})
    assert ledger.unmade(found)


def test_a_job_that_is_found_is_the_attempts() -> None:
    (found,) = settle(attempt(job=""), there={1: seen(pod())})
    assert found.job == "job"
    assert not ledger.unmade(found)


def test_an_emptied_status_is_written_anew_from_the_jobs() -> None:
    (found,) = settle(there={3: seen(pod())})
    assert (found.number, found.job, found.class_) == (3, "job", None)


def test_all_pods_must_run() -> None:
    (one,) = settle(attempt(), there={1: seen(pod(), nodes=2)})
    assert one.running_time is None
    (both,) = settle(attempt(), there={1: seen(pod(), pod("worker-0"), nodes=2)})
    assert both.running_time == clock.stamp(NOW)


def test_a_clock_that_lags_behind_the_api_servers_loses_no_pod() -> None:
    there = {1: seen(pod(created=NOW + 5))}
    (found,) = settle(attempt(), there=there)
    (found,) = settle(found, there=there)
    assert found.class_ is None


def test_a_queue_that_takes_the_pods_begins_anew() -> None:
    running = attempt(running_time=clock.stamp(200))
    (found,) = settle(running, there={1: seen(suspended=True)})
    assert (found.running_time, found.class_) == (None, None)


def test_done_is_recorded_with_its_budgets_and_its_time() -> None:
    (found,) = settle(attempt(), there={1: seen(ended(said=DONE, at=900.0, exit_code=0))})
    assert (found.class_, found.budgets) == (Class.DONE, (10,))
    assert found.end_time == clock.stamp(900)


def test_it_is_leaving_until_its_last_pod_has_gone() -> None:
    failed = Outcome(klass=Class.DIVERGED)
    (leaving,) = settle(attempt(), there={1: seen(ended(said=failed), pod("worker-0"), nodes=2)})
    assert (leaving.class_, leaving.end_time) == (Class.DIVERGED, None)
    (gone,) = settle(leaving, there={}, now=1100.0)
    assert (gone.class_, gone.end_time) == (Class.DIVERGED, clock.stamp(1100))


def test_what_was_judged_is_not_judged_again() -> None:
    stopped = ledger.ended(
        attempt(), klass=Class.PREEMPTED, message="suspended", now=900.0, stopped=True
    )
    (found,) = settle(stopped, there={1: seen(ended(said=DONE, exit_code=0))})
    assert (found.class_, found.stopped) == (Class.PREEMPTED, True)
    assert found.end_time is not None


def test_a_job_of_the_same_name_that_is_anothers_is_not_ours() -> None:
    (found,) = settle(attempt(), there={1: seen(pod(), job="another")})
    assert found.class_ is Class.PREEMPTED


def test_gpu_time_is_that_of_the_pods_that_held_them() -> None:
    pods = pod(gpus=8), pod("worker-0", held_from=None, gpus=8)
    (found,) = settle(attempt(), there={1: seen(*pods, nodes=2)})
    assert found.gpu_seconds == 8 * (1000 - 110)
    (later,) = settle(found, there={1: seen(*pods, nodes=2)}, now=1010.0)
    assert later.gpu_seconds == 8 * (1010 - 110)
    over = ended(said=DONE, at=1005.0, gpus=8, exit_code=0)
    (last,) = settle(found, there={1: seen(over)}, now=1010.0)
    assert last.gpu_seconds == 8 * (1005 - 110)


def test_gpu_time_stays_when_pods_vanish() -> None:
    (found,) = settle(attempt(gpu_seconds=50.0), there={})
    assert found.gpu_seconds == 50.0


def test_old_attempts_leave_their_gpu_time() -> None:
    many = tuple(
        attempt(number=n, gpu_seconds=1.0, class_=Class.PREEMPTED, end_time=clock.stamp(200))
        for n in range(1, ledger.MOST_ATTEMPTS + 11)
    )
    short = ledger.shortened(TrialStatus().model_copy(update={"attempts": many}))
    assert len(short.attempts) == ledger.MOST_ATTEMPTS
    assert short.attempts[0].number == 11
    assert ledger.gpu_seconds(short) == len(many)


def test_losses_are_kept_for_people() -> None:
    said = Outcome(klass=Class.DONE, budgets=(10, 20), losses=(3.5, 3.25))
    there = {1: seen(ended(said=said, exit_code=0), asked=(10, 20))}
    status = ledger.settle(TrialStatus(attempts=(attempt(),)), there, NOW, 600.0)
    assert {r.tokens: r.loss for r in status.results} == {10: 3.5, 20: 3.25}
    assert ledger.settle(status, {}, NOW, 600.0).results == status.results


def test_an_api_server_whose_clock_is_ahead_has_lost_no_pod() -> None:
    ahead = pod(created=NOW + 60)
    (found,) = settle(attempt(), there={1: seen(ahead)})
    assert found.running_time == clock.stamp(NOW + 60)
    assert settle(found, there={1: seen(ahead)}, now=NOW + 5)[0].class_ is None


def test_one_that_begins_takes_the_former_ones_message_away() -> None:
    found = ledger.begun(TrialStatus(message="OutOfMemory"), 7, halvings=3, now=NOW)
    (attempt,) = found.attempts
    assert (attempt.number, attempt.halvings, found.message) == (7, 3, "")
