"""PyTorchJobs and Jobs: what is built, and what is read of whatever a status holds."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep_operator import jobs, jobstate, names, pods, pytorchjob
from scalingsweep_operator.jobstate import Finished, State
from support import pods as small


def built(nodes: int = 2, queue: str | None = None) -> Any:
    return pytorchjob.build(
        "small-0a1b2c3d-a1",
        namespace="default",
        owner=small.owner(),
        labels={names.SWEEP: "small"},
        annotations={names.ASKED: "640,1280"},
        template=small.template("trial", small.spec()),
        nodes=nodes,
        processes=4,
        queue=queue,
    )


def test_the_master_is_a_node() -> None:
    replicas = built(nodes=3)["spec"]["pytorchReplicaSpecs"]
    assert {kind: each["replicas"] for kind, each in replicas.items()} == {"Master": 1, "Worker": 2}
    assert {each["restartPolicy"] for each in replicas.values()} == {"Never"}
    assert replicas["Master"]["template"] == replicas["Worker"]["template"]
    assert replicas["Master"]["template"] is not replicas["Worker"]["template"]
    assert set(built(nodes=1)["spec"]["pytorchReplicaSpecs"]) == {"Master"}


def test_the_job_says_how_many_processes_in_text() -> None:
    assert built()["spec"]["nprocPerNode"] == "4"
    assert built()["spec"]["runPolicy"] == {"cleanPodPolicy": "Running", "suspend": False}
    assert built()["metadata"]["annotations"] == {names.ASKED: "640,1280"}
    assert names.owned(built(), "u-1")


def test_the_rendezvous_has_its_port_once() -> None:
    template = built()["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    ports = pods.container(template)["ports"]
    assert [(each["name"], each["containerPort"]) for each in ports] == [
        ("metrics", 8081),
        ("pytorchjob-port", 23456),
    ]


def test_a_queue_holds_the_job_from_the_first() -> None:
    job = built(queue="research")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert pytorchjob.read(job) == State(suspended=True, queue="research", nodes=2)
    replicas = job["spec"]["pytorchReplicaSpecs"].values()
    assert all("kueue" not in str(each["template"]["metadata"]["labels"]) for each in replicas)


def _condition(kind: str, status: str = "True", at: str = "2026-11-25T10:00:10Z") -> Any:
    return {
        "type": kind,
        "status": status,
        "reason": f"PyTorchJob{kind}",
        "message": f"it is {kind}\n",
        "lastTransitionTime": at,
    }


def test_a_running_job_reads_so() -> None:
    job = built() | {
        "status": {"conditions": [_condition("Created"), _condition("Running")]},
    }
    job["metadata"]["creationTimestamp"] = "2026-11-25T10:00:00Z"
    state = pytorchjob.read(job)
    assert (state.finished, state.suspended) == (None, False)
    assert state.running is not None
    assert state.created is not None
    assert state.running - state.created == 10


@pytest.mark.parametrize("how", Finished)
def test_a_finished_job_says_when_and_why(how: Finished) -> None:
    conditions = [_condition("Running", "False"), _condition(how.value)]
    job = built() | {"status": {"conditions": conditions, "completionTime": "2026-11-25T10:01:00Z"}}
    state = pytorchjob.read(job)
    assert (state.finished, state.running) == (how, None)
    assert state.ended == jobstate.time("2026-11-25T10:01:00Z")
    assert state.message == f"PyTorchJob{how}: it is {how} "
    del job["status"]["completionTime"]  # a permanent failure of 1.9 has none
    assert pytorchjob.read(job).ended == jobstate.time("2026-11-25T10:00:10Z")


def test_a_job_is_tried_once_and_waits_in_no_queue() -> None:
    job = jobs.build(
        "small-fit-01234567-a1",
        namespace="default",
        owner=small.owner(),
        labels={names.SWEEP: "small"},
        template=small.template("fit", small.spec()),
    )
    assert job["spec"]["backoffLimit"] == 0
    assert job["metadata"]["labels"] == {names.SWEEP: "small"}
    assert jobs.read(job) == State()
    job["status"] = {
        "startTime": "2026-11-25T10:00:00Z",
        "conditions": [_condition("Failed")],
    }
    state = jobs.read(job)
    assert (state.finished, state.running) == (
        Finished.FAILED,
        jobstate.time("2026-11-25T10:00:00Z"),
    )
    job["status"]["conditions"] = [_condition("Complete")]
    assert jobs.read(job).finished is Finished.SUCCEEDED


KEYS = st.sampled_from(
    [
        *("metadata", "spec", "status", "conditions", "type", "lastTransitionTime", "labels"),
        *("runPolicy", "suspend", "completionTime", "startTime", "creationTimestamp", "reason"),
        "kueue.x-k8s.io/queue-name",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(["Failed", "True", "Succeeded", "0001-01-01T00:00:00Z", "9999-99-99Z", "Z"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(
    metadata=ANYTHING,
    spec=ANYTHING,
    status=ANYTHING,
    conditions=ANYTHING,
    condition=st.dictionaries(KEYS, SCALARS),
)
def test_no_status_can_raise(
    metadata: Any, spec: Any, status: Any, conditions: Any, condition: Any
) -> None:
    failed = {**condition, "type": "Failed", "status": "True"}
    hostile: list[Any] = [
        status,
        {"conditions": conditions},
        {"conditions": [status, failed], "completionTime": conditions, "startTime": spec},
    ]
    for each in hostile:
        job = {"metadata": metadata, "spec": spec, "status": each}
        for read in (pytorchjob.read, jobs.read):
            state = read(copy.deepcopy(job))
            assert isinstance(state, State)
            assert len(state.message) <= 1024
            assert state.message.isprintable()
    assert pytorchjob.read({"status": hostile[2]}).finished is Finished.FAILED


def test_a_job_let_go_is_held_until_training_operator_has_seen_it() -> None:
    """Its time in the queue would count against the start deadline, and end it at once."""
    job = {
        "spec": {"runPolicy": {"suspend": False}},
        "status": {"conditions": [{"type": "Suspended", "status": "True"}]},
    }
    assert pytorchjob.read(job).suspended
    job["status"] = {"conditions": [{"type": "Suspended", "status": "False"}]}
    assert not pytorchjob.read(job).suspended
