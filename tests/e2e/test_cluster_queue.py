"""Kueue before the trials, on the whole cluster: not serving them, admitting by quota, evicting."""

import os
import re
from typing import Any

import pytest
from hack.cluster import kueue
from hack.e2e import places, stage

from support import sweeps
from support.sweeps import Sweep

pytestmark = [
    pytest.mark.cluster_long,
    pytest.mark.skipif(os.geteuid() != 0, reason="a node needs root"),
]

SECONDS = 600
QUEUE = f"localqueue/{kueue.QUEUE}"
EVICTED = "scratch/55k"
TOKENS = 120_000
"""What it has done of 400,000 when it is evicted: it is amid its trunk."""


def _install(ground: stage.Stage, *, pytorchjobs: bool) -> None:
    """Kueue, with room for one GPU in its queue."""
    folder = ground.cluster.folder / "kueue"
    kueue.install(ground.cluster.inside, ground.kubectl, folder, pytorchjobs=pytorchjobs)
    sweeps.until(lambda: _queued(ground), 60)


def _queued(ground: stage.Stage) -> bool:
    """Make the queue; Kueue's webhooks may take a moment longer than its rollout says."""
    ground.kubectl.apply(*kueue.queue(places.SWEEPS, gpus=1))
    return True


def test_not_served_nothing_trains_until_the_advice_is_followed(
    ground: stage.Stage, sweep: Sweep
) -> None:
    _install(ground, pytorchjobs=False)
    sweep.apply(sweeps.manifest(sweep.name, queueName=kueue.QUEUE))
    sweep.until(lambda: sweep.condition("Progressing")[1] == "NoKueueIntegration", SECONDS)
    status, _, message = sweep.condition("Progressing")
    assert status == "False"
    assert "kubeflow.org/pytorchjob" in message
    assert sweep.pods() == []
    assert set(sweep.shown().values()) == {"Pending"}
    (attempt,) = sweep.attempts("scratch/27k")
    assert attempt["gpuSeconds"] == 0
    assert "class" not in attempt
    assert sweep.status()["usage"]["gpuHours"] == 0
    _install(ground, pytorchjobs=True)
    sweep.complete(SECONDS)
    assert sweeps.classes(sweep.attempts("scratch/27k")) == ["Done"], "the same attempt went on"


def test_evicted_in_mid_step_a_trial_goes_on_where_it_saved(
    ground: stage.Stage, sweep: Sweep, undisturbed: bytes
) -> None:
    _install(ground, pytorchjobs=True)
    sweep.apply(sweeps.study(sweep.name, queueName=kueue.QUEUE))
    sweep.until(lambda: {"Pending", "Running"} <= set(sweep.shown().values()), SECONDS)
    messages = [each["status"].get("message", "") for each in sweep.trials().values()]
    assert any(message.startswith("Queued") for message in messages)
    sweep.until(lambda: _one_at_a_time(sweep) and _amid(sweep), SECONDS)
    _stop_policy(ground, "HoldAndDrain")
    sweep.until(lambda: not any(map(_holds_on, sweep.pods())), 180)
    sweep.until(lambda: "Running" not in sweep.shown().values(), 30)
    assert sweep.condition("Progressing")[:2] == ("False", "Queued")
    (held,) = (a for a in sweep.attempts(EVICTED) if "class" not in a)
    assert held["number"] == 1, "the same attempt waits in the queue again"
    assert _evicted(sweep) == {sweep.trials()[EVICTED]["metadata"]["name"]}
    saved = _saved(sweep)
    assert saved > 0
    _stop_policy(ground, "None")
    sweep.until(lambda: _one_at_a_time(sweep) and sweep.end(), SECONDS)
    sweep.complete(5)
    for trial in sweep.trials():
        attempts = sweep.attempts(trial)
        assert sweeps.classes(attempts) == ["Done"], attempts
    assert _first_step(sweep, generation=2) == saved + 1, "what was saved is not trained again"
    assert sweep.observations() == undisturbed


def test_let_go_while_its_pod_is_still_leaving_a_trial_spends_no_retry(
    ground: stage.Stage, sweep: Sweep, undisturbed: bytes
) -> None:
    _install(ground, pytorchjobs=True)
    study = sweeps.study(sweep.name, queueName=kueue.QUEUE, retry={"limit": 0})
    study["spec"]["arms"] = [{"name": "scratch", "corpus": "fr"}]
    study["spec"]["model"]["sizes"] = ["55k"]
    sweep.apply(study)
    sweep.until(lambda: _amid(sweep), SECONDS)
    _stop_policy(ground, "HoldAndDrain")
    sweep.until(lambda: any("deletionTimestamp" in pod["metadata"] for pod in sweep.pods()), 60)
    _stop_policy(ground, "None")
    sweep.complete(SECONDS)
    *evicted, last = sweep.attempts(EVICTED)
    assert last["class"] == "Done"
    assert set(sweeps.classes(evicted)) <= {"Preempted"}, evicted
    assert set(sweep.observations().splitlines()) <= set(undisturbed.splitlines())


def _stop_policy(ground: stage.Stage, policy: str) -> None:
    patch = f'{{"spec": {{"stopPolicy": "{policy}"}}}}'
    ground.kubectl("patch", QUEUE, sweeps.SPACE, "--type=merge", "--patch", patch)


def _amid(sweep: Sweep) -> bool:
    return EVICTED in sweep.trials() and sweep.tokens(EVICTED) >= TOKENS


def _holds_on(pod: dict[str, Any]) -> bool:
    """Whether a pod works or has yet to go: a job that is let go meanwhile counts it as failed."""
    return sweeps.is_active(pod) or "deletionTimestamp" in pod["metadata"]


def _one_at_a_time(sweep: Sweep) -> bool:
    """The queue has one GPU, the node eight: only Kueue holds trials back."""
    busy = {
        sweeps.trial_of(pod)
        for pod in sweep.pods()
        if sweeps.is_active(pod) and "deletionTimestamp" not in pod["metadata"]
    }
    assert len(busy) <= 1
    return True


def _evicted(sweep: Sweep) -> set[str]:
    """Trials of whose jobs Kueue itself says that it has evicted them."""
    workloads = sweep.ground.kubectl.get("workloads", sweeps.SPACE)["items"]
    owners = {
        reference["name"]
        for workload in workloads
        for condition in workload["status"].get("conditions", [])
        if condition["type"] == "Evicted" and condition["status"] == "True"
        for reference in workload["metadata"]["ownerReferences"]
    }
    return {
        sweeps.trial_of(job)
        for job in sweep.listed("pytorchjobs")
        if job["metadata"]["name"] in owners
    }


def _saved(sweep: Sweep) -> int:
    """The last step of the trunk that the first attempt has saved whole."""
    return max(_steps(sweep, r"g0001/checkpoints/trunk/step-(\d+)/\.metadata$"), default=0)


def _first_step(sweep: Sweep, *, generation: int) -> int:
    """The first step of the trunk that an attempt under a later claim has trained."""
    return min(_steps(sweep, rf"g{generation:04}/metrics/trunk-(\d+)\.jsonl$"))


def _steps(sweep: Sweep, pattern: str) -> list[int]:
    keys = sweep.store.list(f"trials/{sweep.trials()[EVICTED]['spec']['id']}/")
    return [int(found[1]) for key in keys if (found := re.search(pattern, key))]
