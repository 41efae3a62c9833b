"""Real operator processes, killed and paused, on a real API server whose nodes are played."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalingsweep.api.outcome import Class, FitSummary, Outcome
from scalingsweep_operator import names, resources
from scalingsweep_operator.resources import Object
from support import stage as stages
from support.stage import Stage

pytestmark = pytest.mark.cluster

KILLS = 5
SECONDS = 240.0


class Operators:
    """Operator processes that serve one stage."""

    def __init__(self, stage: Stage, logs: Path) -> None:
        self._stage = stage
        self._logs = logs
        self.living: list[subprocess.Popen[bytes]] = []

    def start(self, identity: str) -> subprocess.Popen[bytes]:
        """Start one more."""
        flags = {
            "worker-image": stages.IMAGE,
            "kubeconfig": str(self._stage.server.kubeconfig),
            "namespaces": self._stage.namespace,
            "namespace": self._stage.namespace,
            "identity": identity,
            "lease-seconds": "3",
            "renew-seconds": "1",
            "full-look-seconds": "5",
            "http-host": "127.0.0.1",
            "http-port": "0",
        }
        command = [str(Path(sys.executable).with_name("scalingsweep-operator"))]
        command += [f"--{name}={value}" for name, value in flags.items()]
        with (self._logs / f"{identity}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self.living.append(process)
        return process

    def end(self) -> None:
        """Kill what lives."""
        for process in self.living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture
def operators(stage: Stage, tmp_path: Path) -> Iterator[Operators]:
    """None at first; all are gone at the end."""
    made = Operators(stage, tmp_path)
    yield made
    made.end()


def _play(stage: Stage, most: int = 100) -> int:
    """What a training-operator and kubelets would do within a moment: everything ends well.

    Returns:
        How many pods have ended, at most `most`.
    """
    stage.serve()
    pending = [pod for pod in stage.items(resources.PODS) if pod["status"]["phase"] == "Pending"]
    for pod in pending[:most]:
        stage.end(_job_of(pod), _said(stage, pod))
    return len(pending[:most])


def _job_of(pod: Object) -> str:
    return str(pod["metadata"]["ownerReferences"][0]["name"])


def _said(stage: Stage, pod: Object) -> Outcome:
    match pod["metadata"]["labels"][names.ROLE]:
        case "prepare":
            return Outcome(klass=Class.DONE, prepared=stage.prepared())
        case "fit":
            summary = FitSummary(observations=14, missing=0, report="report.html")
            return Outcome(klass=Class.DONE, fit=summary)
        case _:
            job = stage._read(resources.PYTORCH_JOBS, _job_of(pod))
            asked = job["metadata"]["annotations"][names.ASKED]
            return Outcome(klass=Class.DONE, budgets=tuple(int(D) for D in asked.split(",")))


def _ended(stage: Stage) -> bool:
    status = stage.sweep().get("status", {})
    return "completionTime" in status


def _nothing_twice(stage: Stage) -> None:
    assert stage.status().phase == "Complete"
    assert stage.status().progress == "6/6"
    for trial in stage.trials().values():
        assert [a["class"] for a in trial["status"]["attempts"]] == ["Done"]
    assert len(stage.every_job()) == 6
    assert len(stage.items(resources.JOBS)) == 2


def test_killed_at_any_moment_it_ends_in_the_same_world(stage: Stage, operators: Operators) -> None:
    chance = random.Random(20261125)
    stage.apply()
    process = operators.start("operator-0")
    deadline, kills, ended = time.monotonic() + SECONDS, 0, 0
    kill_at = time.monotonic() + chance.uniform(4, 9)
    while not _ended(stage):
        assert time.monotonic() < deadline, "it does not end"
        assert process.poll() is None, "the operator ended by itself"
        if kills < KILLS and time.monotonic() >= kill_at:
            process.kill()
            process.wait()
            kills += 1
            process = operators.start(f"operator-{kills}")
            kill_at = time.monotonic() + chance.uniform(4, 9)
        elif kills == KILLS:
            _play(stage)
        elif ended <= kills and chance.random() < 0.4:  # so that each kill finds something to do
            ended += _play(stage, most=1)
        time.sleep(0.3)
    assert kills == KILLS
    _nothing_twice(stage)


def test_one_that_was_paused_beyond_its_lease_writes_nothing_more(
    stage: Stage, operators: Operators
) -> None:
    stage.apply()
    first = operators.start("first")
    stage.until(lambda: bool(stage.newest("prepare")), 60)
    os.kill(first.pid, signal.SIGSTOP)
    second = operators.start("second")
    deadline = time.monotonic() + SECONDS
    stage.until(lambda: _holder(stage) == "second", 60)
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(30) == 1, "it has lost the Lease and says so"
    while not _ended(stage):
        assert time.monotonic() < deadline, "it does not end"
        assert second.poll() is None, "the operator ended by itself"
        _play(stage)
        time.sleep(0.3)
    _nothing_twice(stage)


def _holder(stage: Stage) -> str:
    leases = stage.items(resources.LEASES)
    return str(leases[0]["spec"].get("holderIdentity", "")) if leases else ""
