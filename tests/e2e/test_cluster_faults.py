"""Faults that take their time, on the whole cluster: images that are late, too little room, pods
that end out of turn, last words that are lies.

Where a worker has to misbehave, a script stands before the real one in PATH, from a ConfigMap that
the manifest's own template mounts. What it leaves goes through a real kubelet.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hack.cluster import node
from hack.e2e import places, stage
from hack.images import build

from support import sweeps
from support.sweeps import Sweep

pytestmark = [
    pytest.mark.cluster_long,
    pytest.mark.skipif(os.geteuid() != 0, reason="a node needs root"),
]

SECONDS = 420
TRIAL = "scratch/27k"
LATE_SECONDS = 300
LATE = "localhost/scalingsweep/worker:late"
SLOT = "example.com/slot"
"""A GPU of another name, of which the node has three: nothing else asks for it."""
REAL = '/opt/scalingsweep/bin/scalingsweep-worker "$@"'


@pytest.fixture(scope="module")
def late(ground: stage.Stage) -> Iterator[tuple[Sweep, float]]:
    """A sweep whose trials need an image that the node does not have, and when that was so."""
    ctr = ("ctr", "--namespace=k8s.io", "images")
    if LATE in ground.cluster.inside.run(*ctr, "list", "--quiet").splitlines():
        ground.cluster.inside.run(*ctr, "remove", "--sync", LATE)
    made = Sweep(ground=ground, name="late")
    limits = {"startDeadline": "15m"}
    made.apply(sweeps.manifest("late", limits=limits, trialTemplate={"image": LATE}))
    made.until(lambda: made.attempts(TRIAL), SECONDS)
    yield made, time.monotonic()
    made.delete()


@pytest.mark.usefixtures("late")  # whose five minutes pass meanwhile
def test_an_image_that_never_comes_ends_the_attempt_at_its_deadline(sweep: Sweep) -> None:
    given = sweeps.manifest(
        sweep.name,
        limits={"startDeadline": "20s"},
        retry={"limit": 1, "backoffSeconds": 1},
        trialTemplate={"image": "localhost/scalingsweep/worker:never"},
    )
    sweep.apply(given)
    sweep.until(lambda: sweep.condition("Progressing")[1] == "ImagePull", SECONDS)
    assert sweep.ended(SECONDS) == "Failed"
    attempts = sweep.attempts(TRIAL)
    assert sweeps.classes(attempts) == ["Infrastructure", "Infrastructure"]
    for attempt in attempts:
        assert "did not all run within 20 s: ImagePull: " in attempt["message"]
    assert sweep.condition("Failed")[0] == "True"
    assert sweep.condition("Fitted")[:2] == ("False", "NoObservations")


def test_two_jobs_of_two_nodes_on_room_for_three_pods(ground: stage.Stage, sweep: Sweep) -> None:
    there = {"capacity": {SLOT: "3"}, "allocatable": {SLOT: "3"}}
    patch = ("--subresource=status", "--type=merge", f"--patch={json.dumps({'status': there})}")
    ground.kubectl("patch", "node", node.NAME, *patch)
    given = sweeps.manifest(
        sweep.name,
        model={"contextLength": 128, "sizes": ["27k", "55k"]},
        budgets={"tokens": ["100k", "400k"]},
        resources=[{"nodes": 2, "gpusPerNode": 1, "gpuResource": SLOT, "accelerator": "CPU"}],
        parallelTrialCount=2,
        limits={"startDeadline": "20s"},
        retry={"limit": 20, "backoffSeconds": 1},
    )
    sweep.apply(given)
    sweep.complete(SECONDS)
    trials = {name: sweep.attempts(name) for name in sweep.trials()}
    assert len(trials) == 2
    for attempts in trials.values():
        assert sweeps.classes(attempts)[-1] == "Done"
        assert set(sweeps.classes(attempts)[:-1]) <= {"Infrastructure"}
    late = [each for attempts in trials.values() for each in attempts[:-1]]
    assert late, "one of them had to wait beyond its deadline"
    assert all("within 20 s: Unschedulable: " in each["message"] for each in late)
    assert min(map(len, trials.values())) == 1, "the other had all that it needs"
    assert sweep.status()["fit"]["observations"] == 4


def _play(sweep: Sweep, script: str) -> dict[str, Any]:
    """A trialTemplate whose worker is a script; ATTEMPT is the number of the attempt."""
    metadata = {"name": f"play-{sweep.name}", "namespace": places.SWEEPS}
    text = f"#!/bin/sh\n{script}\n"
    sweep.ground.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"scalingsweep-worker": text},
        }
    )
    number = {"fieldRef": {"fieldPath": "metadata.labels['scalingsweep.dev/attempt']"}}
    container = {
        "name": "pytorch",
        "env": [
            {"name": "PATH", "value": "/play:/opt/scalingsweep/bin:/usr/bin:/bin"},
            {"name": "ATTEMPT", "valueFrom": number},
        ],
        "volumeMounts": [{"name": "play", "mountPath": "/play"}],
    }
    volume = {"name": "play", "configMap": {"name": metadata["name"], "defaultMode": 0o555}}
    return {"podTemplate": {"spec": {"containers": [container], "volumes": [volume]}}}


TWO_NODES = [{"nodes": 2, "gpusPerNode": 1, "accelerator": "CPU"}]


def test_a_worker_that_fails_before_its_master_is_why_the_attempt_ended(sweep: Sweep) -> None:
    word = json.dumps({"class": "OutOfMemory", "message": "the second node was full"})
    script = f"""
        if [ "$ATTEMPT/$PET_NODE_RANK" = 1/1 ]; then
          echo '{word}' >/dev/termination-log
          exit 5
        fi
        exec {REAL}"""
    template = _play(sweep, script)
    sweep.apply(sweeps.manifest(sweep.name, resources=TWO_NODES, trialTemplate=template))
    sweep.complete(SECONDS)
    first, second = sweep.attempts(TRIAL)
    assert (first["class"], first["message"]) == ("OutOfMemory", "the second node was full")
    assert (second["class"], second["halvings"]) == ("Done", 1)


def test_a_worker_that_exits_badly_takes_nothing_from_a_master_that_is_done(sweep: Sweep) -> None:
    # training-operator ends workers that still run when the master is done: this one exits with 1
    script = f"""
        if [ "$PET_NODE_RANK" = 0 ]; then exec {REAL}; fi
        trap ': >/dev/termination-log; exit 1' TERM
        {REAL}
        : >/dev/termination-log
        sleep 100 & wait
        exit 1"""
    template = _play(sweep, script)
    sweep.apply(sweeps.manifest(sweep.name, resources=TWO_NODES, trialTemplate=template))
    badly = sweep.until(lambda: _exits(sweep, "worker") or sweep.end(), SECONDS)
    sweep.complete(SECONDS)
    assert sweeps.classes(sweep.attempts(TRIAL)) == ["Done"]
    print(f"seen of the worker: {badly}", flush=True)


def _exits(sweep: Sweep, replica: str) -> list[int]:
    """Exit statuses of a trial's pods of one kind."""
    return [
        status["state"]["terminated"]["exitCode"]
        for pod in sweep.pods()
        if pod["metadata"]["labels"]["training.kubeflow.org/replica-type"] == replica
        for status in pod["status"].get("containerStatuses", [])
        if "terminated" in status["state"]
    ]


LIES = {
    "head -c 6000 /dev/urandom": "its outcome cannot be used",
    """printf '\\033[2J\\000\\377no JSON'""": "is no JSON",
    "head -c 4096 /dev/zero | tr '\\0' '['": "is no JSON",
    """echo '{"class": "Done", "budgets": []}'""": "are missing from what says it is done",
    """echo '{"class": "HostMemory"}'""": "says what only a control plane can see",
    """echo '{"class": "Infrastructure", "message": "a\\u001b[2Jb"}'""": "a [2Jb",
    """echo '{"class": "Preempted", "step": 1000000000000000000000}'""": "step",
    ":": "left no outcome",
}
"""What an attempt leaves in its termination log, and what is recorded of it."""


def test_last_words_that_are_lies_are_infrastructure(sweep: Sweep) -> None:
    cases = "\n".join(
        f"{number}) {said} >/dev/termination-log; exit 0;;"
        for number, said in enumerate(LIES, start=1)
    )
    script = f"case $ATTEMPT in\n{cases}\nesac\nexec {REAL}"
    retry = {"limit": len(LIES), "backoffSeconds": 0}
    sweep.apply(sweeps.manifest(sweep.name, retry=retry, trialTemplate=_play(sweep, script)))
    sweep.complete(SECONDS)
    *liars, honest = sweep.attempts(TRIAL)
    assert honest["class"] == "Done"
    assert sweeps.classes(liars) == ["Infrastructure"] * len(LIES)
    for attempt, (said, recorded) in zip(liars, LIES.items(), strict=True):
        assert recorded in attempt["message"], said
        assert attempt["message"].isprintable()


def test_an_image_that_comes_five_minutes_late_is_waited_for(
    ground: stage.Stage, late: tuple[Sweep, float]
) -> None:
    """The last one: its sweep has waited since the first."""
    sweep, since = late
    time.sleep(max(0.0, LATE_SECONDS - (time.monotonic() - since)))
    assert sweep.condition("Progressing")[:2] == ("False", "ImagePull")
    assert sweeps.classes(sweep.attempts(TRIAL)) == [""]
    assert set(sweep.shown().values()) == {"Pending"}
    ctr = ("ctr", "--namespace=k8s.io", "images", "tag")
    ground.cluster.inside.run(*ctr, build.REFERENCES["worker"], LATE)
    sweep.complete(SECONDS)
    assert sweeps.classes(sweep.attempts(TRIAL)) == ["Done"], "the same attempt"
