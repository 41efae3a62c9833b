"""One recorded study, replayed through both shells: they must see it alike, and decide alike.

tests/data/trace.json was recorded from `scalingsweep run` (tests/support/record.py). What differs
by nature is not compared: ids of GPUs, words on an end that left none, when to look again.
"""

import collections
import json
from pathlib import Path
from typing import Any

import pytest

from scalingsweep.api.outcome import Class
from support import cluster_replay, local_replay, replays
from support.replays import Seen

TRACE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "trace.json").read_text("utf-8")
)
POINTS: list[dict[str, Any]] = TRACE["points"]
EVENTS: list[dict[str, Any]] = [event for point in POINTS for event in point["events"]]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    return local_replay.replay(TRACE, tmp_path_factory.mktemp("trace"))


@pytest.fixture(scope="module")
def cluster() -> list[Seen]:
    return cluster_replay.replay(TRACE)


def test_the_trace_has_what_a_study_can_meet() -> None:
    classes = {event["class"] for event in EVENTS}
    assert classes >= {"Done", "Infrastructure", "OutOfMemory", "Diverged", "Preempted"}
    actions = [action for point in POINTS for action in point["decision"]["actions"]]
    assert any("stop" in action for action in actions)
    assert any(action.get("halvings") for action in actions)
    phases = {phase for point in POINTS for phase in point["decision"]["trials"].values()}
    assert phases == {"Pending", "Waiting", "Running", "Succeeded", "Failed", "Skipped"}
    assert POINTS[-1]["decision"]["phase"] == "Complete"


@pytest.mark.parametrize("shell", ["local", "cluster"])
def test_a_shell_decides_what_was_decided(shell: str, request: pytest.FixtureRequest) -> None:
    looks: list[Seen] = request.getfixturevalue(shell)
    for point, look in zip(POINTS, looks, strict=False):
        assert look.now == pytest.approx(replays.BEGAN + point["at"])
        assert look.decision == point["decision"], f"at {point['at']} s"
    assert len(looks) == len(POINTS)


def test_both_shells_see_the_same_attempts(local: list[Seen], cluster: list[Seen]) -> None:
    for point, here, there in zip(POINTS, local, cluster, strict=True):
        assert here.attempts == there.attempts, f"at {point['at']} s"
    seen = [each[0] for attempts in local[-1].attempts.values() for each in attempts]
    stops = sum("stop" in action for point in POINTS for action in point["decision"]["actions"])
    told = collections.Counter(Class(event["class"]) for event in EVENTS)
    told[Class.PREEMPTED] -= stops
    assert collections.Counter(seen) == told


def test_both_shells_count_the_same_gpu_time(local: list[Seen], cluster: list[Seen]) -> None:
    for point, here, there in zip(POINTS, local, cluster, strict=True):
        assert here.gpu_seconds == there.gpu_seconds, f"at {point['at']} s"
    assert local[-1].gpu_seconds > 100
